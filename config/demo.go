package config

// The clients of the shipped config.toml. Their secrets are printed in the README and by "grantor
// serve", so they are no secrets: they work on loopback only (see Config.Demo and server.Config).
const (
	DemoMachineID     = "demo-machine"
	DemoMachineSecret = "gcs_KllMi3OucHeJLuIdZQssi2Ah5MWOLWjTzI8AN7DLleFY0xZSu5" // #nosec G101 -- public on purpose
	DemoAPIID         = "demo-api"
	DemoAPISecret     = "gcs_7jl6Ull9TdT8U6LYENh10i02b5GBSGUQo2SmPmtgB4Qi0bTLQ7" // #nosec G101 -- public on purpose

	DemoAppID        = "demo-app"
	DemoUser         = "ada"
	DemoUserPassword = "correct horse battery staple" // #nosec G101 -- public on purpose

	demoUserHash    = "$argon2id$v=19$m=19456,t=2,p=1$wstlBWHPB8gW5LKa3IjLQg$kFXAd4Dy8+7iw7ilHfv1CsM01CWT0xWCwY3SkbhfAlk"
	demoMachineHash = "sha256:71bf4abd665ce9f5bbe56971fe54b508fce3b351326628ebfae4aee97d522444"
	demoAPIHash     = "sha256:6d6e821ee4814284d9392218e08230d473316043815fdc3a29b932d1fd365556"
)

// DemoUsers returns the ids of users with the published demo password.
func (c *Config) DemoUsers() map[string]bool {
	found := map[string]bool{}
	for _, u := range c.users {
		if u.PasswordHash == demoUserHash {
			found[u.ID] = true
		}
	}
	return found
}

// Demo says whether a client or user of the shipped config.toml is there, with a published
// secret.
func (c *Config) Demo() bool {
	if len(c.DemoUsers()) > 0 {
		return true
	}
	for _, cl := range c.clients {
		if cl.Demo {
			return true
		}
	}
	return false
}
