package parts

import (
	"log/slog"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/redisdb"
)

// Redis opens what [redis] names. It does not wait for an answer.
func Redis(r config.Redis, log *slog.Logger) (*redisdb.DB, error) {
	db, err := redisdb.Open(redisConfig(r, log))
	if err != nil {
		return nil, ConfigError{err}
	}
	return db, nil
}

func redisConfig(r config.Redis, log *slog.Logger) redisdb.Config {
	return redisdb.Config{
		Mode: redisdb.Mode(r.Mode), URL: string(r.URL), Addrs: r.Addrs, Master: r.Master,
		Username: r.Username, Password: string(r.Password),
		SentinelUsername: r.SentinelUsername, SentinelPassword: string(r.SentinelPassword),
		TLS: r.TLS, CAFile: r.CAFile, CertFile: r.CertFile, KeyFile: r.KeyFile, DB: r.DB, Prefix: r.Prefix,
		Timeout: r.Timeout, WaitReplicas: r.WaitReplicas, WaitMissing: r.WaitMissing, WaitTimeout: r.WaitTimeout, Log: log,
	}
}
