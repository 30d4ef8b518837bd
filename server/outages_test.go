package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutagesOfDirectoryAndHook(t *testing.T) {
	now := time.Now()
	ago := func(seconds int) time.Time { return now.Add(-time.Duration(seconds) * time.Second) }
	type span struct{ began, ended int } // seconds ago
	for name, c := range map[string]struct {
		directory, hook *span
		length, since   float64 // seconds
	}{
		"of the directory alone":     {directory: &span{60, 10}, length: 50, since: 10},
		"of the hook alone":          {hook: &span{60, 10}, length: 50, since: 10},
		"two that touch are one":     {directory: &span{60, 20}, hook: &span{30, 5}, length: 55, since: 5},
		"one within the other":       {directory: &span{60, 5}, hook: &span{30, 20}, length: 55, since: 5},
		"of two apart the later one": {directory: &span{100, 90}, hook: &span{20, 5}, length: 15, since: 5},
		"the other way round":        {directory: &span{20, 5}, hook: &span{100, 90}, length: 15, since: 5},
	} {
		s := &Server{}
		for into, from := range map[*outages]*span{&s.outages: c.directory, &s.hookOutages: c.hook} {
			if from != nil {
				into.began, into.ended = ago(from.began), ago(from.ended)
			}
		}
		got := s.lastOutage()
		require.InDelta(t, c.length, got.Length.Seconds(), 0.5, name)
		require.InDelta(t, c.since, got.Since.Seconds(), 0.5, name)
	}
}
