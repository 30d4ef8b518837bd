package com.example.orders;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Profile;
import org.springframework.http.HttpMethod;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.security.authentication.AuthenticationServiceException;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.JwtAudienceValidator;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.JwtTypeValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.server.resource.introspection.BadOpaqueTokenException;
import org.springframework.security.oauth2.server.resource.introspection.OpaqueTokenIntrospector;
import org.springframework.security.oauth2.server.resource.introspection.SpringOpaqueTokenIntrospector;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.client.RestTemplate;
import org.springframework.web.filter.OncePerRequestFilter;

@Configuration
class SecurityConfig {
  @Value("${grantor.issuer}")
  String issuer;

  /** Which scope each route needs: Spring Security calls the scope s the authority SCOPE_s. */
  static HttpSecurity routes(HttpSecurity http) throws Exception {
    return http
        .csrf(csrf -> csrf.disable()) // no cookies: a browser sends no token by itself
        .addFilterBefore(new Unavailable(), BearerTokenAuthenticationFilter.class)
        .authorizeHttpRequests(routes -> routes
            .requestMatchers(HttpMethod.GET, "/orders").hasAuthority("SCOPE_orders:read")
            .requestMatchers(HttpMethod.POST, "/orders").hasAuthority("SCOPE_orders:write")
            .anyRequest().authenticated());
  }

  /** Asks Grantor about each token: a revoked token is refused at once. */
  @Configuration
  @Profile("opaque")
  class ByIntrospection {
    @Bean
    SecurityFilterChain introspected(HttpSecurity http) throws Exception {
      return routes(http).oauth2ResourceServer(server -> server.opaqueToken(token -> {})).build();
    }

    @Bean
    OpaqueTokenIntrospector introspector(
        @Value("${grantor.client-id}") String id, @Value("${grantor.client-secret}") String secret) {
      var requests = new JdkClientHttpRequestFactory(); // keeps connections
      requests.setReadTimeout(Duration.ofSeconds(2));
      var rest = new RestTemplate(requests);
      rest.getInterceptors().add((request, body, next) -> {
        request.getHeaders().setBasicAuth(id, secret);
        return next.execute(request, body);
      });
      var asking = new SpringOpaqueTokenIntrospector(issuer + "/oauth2/introspect", rest);
      return token -> {
        var about = asking.introspect(token);
        if (!"Bearer".equals(about.getAttribute("token_type"))) throw new BadOpaqueTokenException("no access token");
        if (about.getAttribute("cnf") != null) throw new BadOpaqueTokenException("bound, and nobody checks to whom");
        return about;
      };
    }
  }

  /** Verifies JWTs by Grantor's key set: a revoked token is good until it expires. */
  @Configuration
  @Profile("jwt")
  class ByJwt {
    @Bean
    SecurityFilterChain verified(HttpSecurity http) throws Exception {
      return routes(http).oauth2ResourceServer(server -> server.jwt(token -> {})).build();
    }

    @Bean
    JwtDecoder decoder(@Value("${grantor.audience}") String audience) {
      var decoder = NimbusJwtDecoder.withJwkSetUri(issuer + "/oauth2/jwks")
          .jwsAlgorithm(SignatureAlgorithm.ES256)
          .validateType(false) // not "JWT": the validator below demands "at+jwt"
          .build();
      decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<>(List.of(
          new JwtTypeValidator("at+jwt"), // RFC 9068 §4
          new JwtIssuerValidator(issuer),
          new JwtAudienceValidator(audience),
          new JwtClaimValidator<>("cnf", Objects::isNull), // bound tokens: nobody checks to whom (RFC 9449 §7.2)
          new JwtTimestampValidator(Duration.ofSeconds(5)))));
      return decoder;
    }
  }

  /** Answers 503 when Grantor cannot be asked, where Spring would answer 500. */
  static class Unavailable extends OncePerRequestFilter {
    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
        throws ServletException, IOException {
      try {
        chain.doFilter(request, response);
      } catch (AuthenticationServiceException e) {
        response.setHeader("Retry-After", "1");
        response.setStatus(HttpServletResponse.SC_SERVICE_UNAVAILABLE);
      }
    }
  }
}
