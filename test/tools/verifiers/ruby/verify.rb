# Gives JWTs of a running Grantor to the verifiers of others in Ruby, and writes a line of JSON for
# each.
#
#   ruby verify.rb tokens.json
require "json"
require "jwt"
require "json/jwt"
require "net/http"
require "openssl"

given = JSON.parse(File.read(ARGV[0]))
uri = URI(given["jwks_uri"])
http = Net::HTTP.new(uri.host, uri.port)
http.use_ssl = uri.scheme == "https"
http.ca_file = ENV["SSL_CERT_FILE"] if ENV["SSL_CERT_FILE"]
keys = JSON.parse(http.get(uri.path).body)

verifiers = {
  "ruby-jwt" => [JWT.gem_version.to_s, lambda do |t|
    JWT.decode(t["token"], nil, true, algorithms: [t["alg"]], jwks: JSON.parse(JSON.generate(keys), symbolize_names: true),
                                      iss: given["issuer"], verify_iss: true, aud: given["audience"], verify_aud: true)
  end],
  "json-jwt" => [Gem.loaded_specs["json-jwt"]&.version.to_s, lambda do |t|
    claims = JSON::JWT.decode(t["token"], JSON::JWK::Set.new(keys))
    raise "aud" unless claims["aud"] == given["audience"]
  end],
}

verifiers.each do |name, (version, verify)|
  given["tokens"].each do |t|
    error = ""
    begin
      verify.call(t)
    rescue StandardError, NotImplementedError => e
      error = "#{e.class}: #{e.message}"
    end
    puts JSON.generate(verifier: name, version: version, alg: t["alg"], typ: t["typ"], error: error)
  end
end
