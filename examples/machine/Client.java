import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** A client that gets tokens by its id and secret (RFC 6749 §4.4), and calls an API with them. */
public class Client {
    /** Keeps one token for all threads, and gets the next one shortly before it expires. */
    static class Tokens {
        private static final Set<Integer> REPEAT = Set.of(429, 500, 502, 503, 504);
        private final HttpClient http = HttpClient.newHttpClient(); // follows no redirect
        private final HttpRequest request;
        private String token;
        private long renewAt; // nanoseconds of a clock that nobody sets

        Tokens(String issuer, String clientId, String clientSecret, String scope) {
            var pair = form(clientId) + ":" + form(clientSecret); // RFC 6749 §2.3.1
            request = HttpRequest.newBuilder(URI.create(issuer + "/oauth2/token"))
                    .header("Authorization", "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8)))
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .timeout(Duration.ofSeconds(10))
                    .POST(HttpRequest.BodyPublishers.ofString("grant_type=client_credentials&scope=" + form(scope)))
                    .build();
        }

        /** Returns a token. refused is a token that an API answered with 401, or null. */
        synchronized String get(String refused) throws IOException, InterruptedException { // the others wait
            if (token == null || token.equals(refused) || System.nanoTime() - renewAt >= 0) {
                var asked = System.nanoTime();
                var answer = ask();
                var lifetime = Long.parseLong(member(answer, "\"expires_in\"\\s*:\\s*(\\d+)")); // seconds
                token = member(answer, "\"access_token\"\\s*:\\s*\"([^\"]+)\"");
                renewAt = asked + Duration.ofSeconds(lifetime - Math.min(30, lifetime / 4)).toNanos();
            }
            return token;
        }

        private String ask() throws IOException, InterruptedException {
            for (int attempt = 0; ; attempt++) {
                var wait = 1L << attempt; // seconds
                try {
                    var answer = http.send(request, HttpResponse.BodyHandlers.ofString());
                    if (answer.statusCode() == 200) return answer.body();
                    wait = answer.headers().firstValueAsLong("Retry-After").orElse(wait);
                    if (!REPEAT.contains(answer.statusCode()) || attempt == 3 || wait > 60) {
                        throw new IllegalStateException(answer.statusCode() + " " + answer.body()); // repeating does not help
                    }
                } catch (IOException failure) { // no answer at all
                    if (attempt == 3) throw failure;
                }
                Thread.sleep(1000 * wait);
            }
        }

        private static String form(String text) {
            return URLEncoder.encode(text, StandardCharsets.UTF_8);
        }

        /** Java has no JSON of its own; a real program uses its library. */
        private static String member(String json, String pattern) throws IOException {
            var found = Pattern.compile(pattern).matcher(json);
            if (!found.find()) throw new IOException("the answer is no token response");
            return found.group(1);
        }
    }

    /** Asks the API, and once more with another token if the API refuses the first one. */
    static int call(Tokens tokens, String url) {
        try {
            var token = tokens.get(null);
            var status = ask(tokens.http, url, token);
            return status == 401 ? ask(tokens.http, url, tokens.get(token)) : status;
        } catch (IOException | InterruptedException failure) {
            throw new IllegalStateException(failure.toString());
        }
    }

    static int ask(HttpClient http, String url, String token) throws IOException, InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", "Bearer " + token).timeout(Duration.ofSeconds(10)).build();
        return http.send(request, HttpResponse.BodyHandlers.discarding()).statusCode();
    }

    public static void main(String[] unused) {
        var environ = System.getenv();
        var tokens = new Tokens(environ.get("ISSUER"), environ.get("GRANTOR_CLIENT_ID"), environ.get("GRANTOR_CLIENT_SECRET"), "orders:read");
        try {
            System.out.println(Stream.of(1, 2, 3).parallel().map(i -> call(tokens, environ.get("ORDERS")))
                    .map(String::valueOf).collect(Collectors.joining(" ")));
        } catch (IllegalStateException failure) {
            System.err.println("no token: " + failure.getMessage());
            System.exit(1);
        }
    }
}
