package console

import (
	"net/http"
	"time"

	"github.com/grantor-auth/grantor/internal/metrics"
	"github.com/grantor-auth/grantor/internal/presence"
)

// Overview is what a node tells of the deployment.
type Overview struct {
	Nodes      []presence.Node
	NodesError error // the list could not be read
	Self       string

	Certificate    time.Time // when it ends; zero: TLS is not served here
	SecretsEnding  int       // clients whose last secret ends soon
	RedisAnswers   bool
	ReplicasSeen   int
	ReplicasWanted int
	EventsCounted  bool // lockouts are counted
}

type overviewBody struct {
	Overview
	Charts   []chart
	Reasons  []reason
	Refusals string
	Keys     keyBody
	Minutes  int // since the first sample
}

// NextKey is when the signing key changes next; nil: that is not planned.
func (b overviewBody) NextKey() (next *time.Time) {
	for _, k := range b.Keys.Keys {
		if k.State == "next" && k.UseFrom != nil && (next == nil || k.UseFrom.Before(*next)) {
			next = k.UseFrom
		}
	}
	return next
}

// CertificateSoon says whether the certificate ends within three weeks.
func (b overviewBody) CertificateSoon() bool {
	return !b.Certificate.IsZero() && time.Until(b.Certificate) < 21*24*time.Hour
}

func (c *Console) overview(v *visit) error {
	found, err := c.signingKeys(v)
	if err != nil {
		return err
	}
	list := c.cfg.Samples.lastHour()
	body := overviewBody{Overview: c.cfg.Overview(v.r.Context()), Keys: found}
	body.Charts = charts(list, body.EventsCounted)
	var all float64
	body.Reasons, all = reasons(list, 8)
	body.Refusals = number(all)
	if len(list) > 1 {
		body.Minutes = int(list[len(list)-1].at.Sub(list[0].at) / time.Minute)
	}
	c.show(v, "overview", http.StatusOK, "Overview", body)
	return nil
}

// charts are those of the last hour.
func charts(list []sample, lockouts bool) []chart {
	of := func(title string, value func(metrics.Totals) float64) chart {
		return counted(title, perMinute(list, value))
	}
	drawn := []chart{
		of("Tokens issued", func(t metrics.Totals) float64 { return t.Issued }),
		of("Introspections", func(t metrics.Totals) float64 { return t.Introspections }),
		timed("Store latency", meanPerMinute(list, func(t metrics.Totals) float64 { return 1000 * t.StoreSeconds },
			func(t metrics.Totals) float64 { return t.StoreOperations })),
		of("Logins", func(t metrics.Totals) float64 { return t.Logins }),
		of("Failed logins", func(t metrics.Totals) float64 { return t.LoginFailures }),
		of("Store errors", func(t metrics.Totals) float64 { return t.StoreErrors }),
	}
	if lockouts {
		drawn = append(drawn, of("Lockouts", func(t metrics.Totals) float64 { return t.Lockouts }))
	}
	return drawn
}
