package ratelimit

import (
	"context"
	"time"
)

// Report is what a node let through of one limit since it told last.
type Report struct {
	Name  string
	Limit Limit
	Count int
}

// Exchanger keeps the buckets that nodes share. Exchange takes each count from its bucket, and
// returns what is left in each; less than nothing, where nodes let through more than there was. It
// is never repeated: after an error the counts are lost to the other nodes, so no request is
// counted twice.
type Exchanger interface {
	Exchange(ctx context.Context, reports []Report) (left []float64, err error)
}

// maxReports is how many reports an exchange carries at once.
const maxReports = 200

// exchange tells all news, and learns what is left. It returns how many limits had news.
func (l *Limiter) exchange(ctx context.Context) (told int) {
	l.mu.Lock()
	news := l.news
	l.news = nil
	l.mu.Unlock()
	told = len(news)
	for len(news) > 0 {
		n := min(len(news), maxReports)
		if err := l.exchangeSome(ctx, news[:n]); err != nil {
			l.failed(err)
			for _, b := range news[n:] {
				b.report(time.Now()) // as lost as the rest: what is too old must not be told later
			}
			return told
		}
		news = news[n:]
	}
	if l.alone.Swap(false) {
		l.log.Info("request rates of clients are shared again")
	}
	return told
}

func (l *Limiter) exchangeSome(ctx context.Context, some []*bucket) error {
	sent := time.Now()
	reports := make([]Report, len(some))
	for i, b := range some {
		reports[i] = b.report(sent)
	}
	left, err := l.exchanger.Exchange(ctx, reports)
	if err != nil {
		return err
	}
	now := time.Now()
	for i, b := range some {
		b.learn(left[i], sent, now)
	}
	return nil
}

// failed logs the beginning of a time in which this node counts alone.
func (l *Limiter) failed(err error) {
	if !l.alone.Swap(true) {
		l.log.Warn("request rates of clients not shared; this node counts alone",
			"error", err.Error())
	}
}
