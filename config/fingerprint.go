package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/grantor-auth/grantor/clients"
)

// MarshalText keeps the secret out of JSON.
func (s SecretText) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// fingerprintBytes is the length of a fingerprint: nobody looks for two configurations with one.
const fingerprintBytes = 6

// Fingerprint is a short hash, in hexadecimal digits, of what the nodes of one deployment must have
// in common. It leaves out what belongs to one machine, such as listeners, files and [log], the
// order of clients and users, and every secret: a hash would let others try secrets.
func (c *Config) Fingerprint() string {
	n := c.Copy()
	n.Listen, n.Include, n.Trial, n.Files, n.SecretFiles = "", nil, false, nil, nil
	n.Log, n.Audit, n.Tracing, n.Metrics = Log{}, Audit{}, Tracing{}, MetricsListener{}
	n.Admin.Listen, n.Admin.Console.Proxies = "", nil
	n.TLS.CertFile, n.TLS.KeyFile, n.TLS.ClientCAFile, n.TLS.MTLSListen = "", "", "", ""
	n.Redis.CAFile, n.Redis.CertFile, n.Redis.KeyFile, n.Redis.Addrs = "", "", "", nil
	n.Issuers = slices.Clone(c.Issuers)
	for i := range n.Issuers {
		n.Issuers[i].CAFile, n.Issuers[i].TokenFile = "", ""
	}
	slices.SortStableFunc(n.Clients, func(a, b clients.Registration) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(n.Users.Config, func(a, b UserEntry) int { return cmp.Compare(a.ID, b.ID) })
	text, err := json.Marshal(n)
	if err != nil { // a value of [metadata.extra] that is no JSON, which check refuses
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:fingerprintBytes])
}
