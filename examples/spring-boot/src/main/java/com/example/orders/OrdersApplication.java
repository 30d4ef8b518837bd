package com.example.orders;

import java.security.Principal;
import java.util.List;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class OrdersApplication {
  public static void main(String[] args) {
    SpringApplication.run(OrdersApplication.class, args);
  }

  @GetMapping("/orders")
  Map<String, Object> list(Principal principal) { // its name is the token's sub
    return Map.of("for", principal.getName(), "orders", List.of("apples", "pears"));
  }

  @PostMapping("/orders")
  Map<String, Object> create() {
    return Map.of("created", true);
  }
}
