"""Reads the export of a realm of Keycloak, and writes the clients that Grantor can serve, for client apply."""

import hashlib, json, sys

OWN = {"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"}


def client(old, scopes):
    """Returns a registration, or the reason why there is none."""
    grants = []
    if old.get("serviceAccountsEnabled"):
        grants.append("client_credentials")
    if old.get("directAccessGrantsEnabled"):
        grants += ["password", "refresh_token"]
    if not grants:
        return None, "it has only grants that Grantor does not serve"
    default = [s for s in old.get("defaultClientScopes", []) if s in scopes]
    optional = [s for s in old.get("optionalClientScopes", []) if s in scopes]
    new = {"client_id": old["clientId"], "grant_types": grants, "scope": " ".join(default + optional)}
    if old.get("name"):
        new["client_name"] = old["name"]
    if default:
        new["default_scope"] = " ".join(default)
    if not old.get("enabled", True):
        new["disabled"] = True
    secret = old.get("secret", "")
    if old.get("publicClient"):
        new["token_endpoint_auth_method"] = "none"
    elif old.get("clientAuthenticatorType", "client-secret") != "client-secret":
        return None, "it does not authenticate by a secret: register its keys by hand"
    elif len(secret) < 22 or len(set(secret)) < 10:
        return None, "its secret is masked or weak: make one with grantor client create"
    else:
        new["secrets"] = [{"hash": "sha256:" + hashlib.sha256(secret.encode()).hexdigest()}]
    return new, ""


def main():
    scopes, clients = set(sys.argv[1:]), []
    for old in json.load(sys.stdin)["clients"]:
        if old["clientId"] in OWN:
            continue
        new, why = client(old, scopes)
        if new:
            clients.append(new)
        else:
            print(f"{old['clientId']}: {why}", file=sys.stderr)
    json.dump(clients, sys.stdout, indent=2)


main()
