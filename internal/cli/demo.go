package cli

import (
	"crypto/rand"
	"slices"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/tokens"
	"github.com/grantor-auth/grantor/users"
)

// demoSecrets are the secrets of the shipped clients: the printed ones, or fresh ones of a trial.
type demoSecrets struct{ machine, api, password string }

// demoSecretsOf returns the secrets of the demo in a configuration: fresh ones in a trial.
func demoSecretsOf(cfg *config.Config) (demoSecrets, error) {
	shipped := demoSecrets{config.DemoMachineSecret, config.DemoAPISecret, config.DemoUserPassword}
	if !cfg.Trial {
		return shipped, nil
	}
	return shipped.renew(cfg.Registrations(), cfg.ConfigUsers(), cfg.DemoUsers())
}

// renew gives the demo clients and users secrets that nobody else has, so that a trial may listen
// anywhere.
func (demoSecrets) renew(list []*clients.Client, people []users.ConfigUser, demoUsers map[string]bool) (demoSecrets, error) {
	fresh := demoSecrets{tokens.NewSecret(), tokens.NewSecret(), rand.Text()}
	hash, err := users.Hash(fresh.password)
	if err != nil {
		return fresh, err
	}
	for i := range people {
		if demoUsers[people[i].ID] {
			people[i].PasswordHash = hash
		}
	}
	for _, c := range list {
		if !c.Demo {
			continue
		}
		secret := fresh.machine
		if c.ID == config.DemoAPIID {
			secret = fresh.api
		}
		c.Demo = false
		c.Secrets = []clients.Secret{{Hash: clients.HashSecret(secret)}}
	}
	return fresh, nil
}

// hasDemo says whether the lines to paste would work.
func hasDemo(list []*clients.Client) bool {
	has := func(id string) bool {
		return slices.ContainsFunc(list, func(c *clients.Client) bool { return c.ID == id })
	}
	return has(config.DemoMachineID) && has(config.DemoAPIID)
}

// demoLines works when pasted: %[1]s the address, %[2]s and %[3]s the secrets.
const demoLines = `
Try it: paste these lines into another terminal.

  # A machine gets a token.
  TOKEN=$(curl -s -u demo-machine:%[2]s -d grant_type=client_credentials %[1]s/oauth2/token | grep -o 'gat_[0-9A-Za-z]*'); echo $TOKEN

  # An API asks whether it is good.
  curl -s -u demo-api:%[3]s -d token=$TOKEN %[1]s/oauth2/introspect; echo

  # A Gin API protected by scope: 200 to read, 403 to write.
  GRANTOR_CLIENT_ID=demo-api GRANTOR_CLIENT_SECRET=%[3]s go run ./examples/orders-api --issuer %[1]s --listen 127.0.0.1:8081 &
  curl -s --retry 30 --retry-connrefused -w ' %%{http_code}\n' -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8081/orders
  curl -s -w ' %%{http_code}\n' -H "Authorization: Bearer $TOKEN" -X POST http://127.0.0.1:8081/orders
  kill %%1

  # The machine gives the token back; from now on it is good for nothing.
  curl -s -u demo-machine:%[2]s -d token=$TOKEN %[1]s/oauth2/revoke; echo
  curl -s -u demo-api:%[3]s -d token=$TOKEN %[1]s/oauth2/introspect; echo

  # A mobile app logs ada in, and refreshes.
  REFRESH=$(curl -s -d grant_type=password -d client_id=demo-app -d username=ada --data-urlencode 'password=%[4]s' %[1]s/oauth2/token | grep -o 'grt_[0-9A-Za-z]*'); echo $REFRESH
  curl -s -d grant_type=refresh_token -d client_id=demo-app -d refresh_token=$REFRESH %[1]s/oauth2/token; echo

`
