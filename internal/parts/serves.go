package parts

import (
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/server"
)

// Serves says which endpoints a node of this configuration names in its metadata.
func Serves(cfg *config.Config) server.Serves {
	o := server.Serves{Issuer: cfg.Issuer, Preset: cfg.Metadata.Preset, Users: cfg.Grants.Password, Feed: true,
		Keys: cfg.Store == config.StoreMemory || cfg.Keys.EncryptionKey != ""}
	if cfg.TLS.Certificates().Read {
		o.MTLSURL = cfg.TLS.MTLSURL
	}
	return o
}
