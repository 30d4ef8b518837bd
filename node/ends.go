package node

import (
	"crypto/x509"
	"time"

	"github.com/grantor-auth/grantor/config"
)

// observeEnds adds when certificates, secrets of clients, and the use of signing keys end.
func (r *resources) observeEnds(cur *current, cfg *config.Config) {
	m := r.metrics
	m.Times("grantor_certificate_not_after_timestamp_seconds", "When the certificate in force expires, in Unix seconds: the first of its chain, or of the authorities of clients.",
		func() map[string]time.Time { return cur.now.Load().certificateEnds() }, "use")
	for _, w := range secretWindows() {
		m.LabelledGauge("grantor_client_secrets_expiring", "Clients whose last secret expires within 7, 14 or 30 days, or has expired (0d).",
			func() float64 { return float64(cur.secrets.Load().within[w.name]) }, "within", w.name)
	}
	m.Times("grantor_client_secret_not_after_timestamp_seconds", "When the next last secret of a client expires, in Unix seconds.",
		func() map[string]time.Time { return map[string]time.Time{"": cur.secrets.Load().next} })
	if r.keys == nil {
		return
	}
	m.Times("grantor_signing_key_not_before_timestamp_seconds", "When the signing key in use began to sign, in Unix seconds.",
		func() map[string]time.Time { from, _ := r.signingTimes(); return from }, "alg")
	m.Times("grantor_signing_key_not_after_timestamp_seconds", "When the next signing key takes over, in Unix seconds.",
		func() map[string]time.Time { _, until := r.signingTimes(); return until }, "alg")
	m.Gauge("grantor_signing_key_rotation_seconds", "The value of [keys] rotate_every in seconds; 0: rotation is by command.",
		func() float64 { return cfg.Keys.RotateEvery.Seconds() })
}

// signingTimes returns since when the current key of each algorithm signs, and until when.
func (r *resources) signingTimes() (from, until map[string]time.Time) {
	from, until = map[string]time.Time{}, map[string]time.Time{}
	for _, k := range r.keys.Known() {
		if k.State != "current" {
			continue
		}
		if k.UseFrom != nil {
			from[string(k.Algorithm)] = *k.UseFrom
		}
		if k.UseUntil != nil {
			until[string(k.Algorithm)] = *k.UseUntil
		}
	}
	return from, until
}

// certificateEnds returns when the certificates in force expire, by their use; zero: there is none.
func (in *instance) certificateEnds() map[string]time.Time {
	return map[string]time.Time{"server": in.chainEnds, "client_ca": in.authorities.End()}
}

// firstEnd returns when the first certificate of a chain expires: clients refuse the chain from
// then on.
func firstEnd(chain [][]byte) (end time.Time) {
	for _, der := range chain {
		if c, err := x509.ParseCertificate(der); err == nil && (end.IsZero() || c.NotAfter.Before(end)) {
			end = c.NotAfter
		}
	}
	return end
}
