package doctor

import (
	"context"
	"fmt"
	"math"

	"github.com/grantor-auth/grantor/internal/growth"
	"github.com/grantor-auth/grantor/internal/redisdb"
)

// The memory of Redis: parts in use, in percent, and days that the rest lasts.
const (
	muchUsed, nearlyAllUsed = 90, 98
	fewDays, veryFewDays    = 30, 3
	mebibyte                = 1 << 20
)

// checkMemory says how full the memory is and, by the samples that nodes keep, how long the rest
// lasts.
func checkMemory(ctx context.Context, s *subject) []Finding {
	r, err := s.redis()
	if err != nil {
		return []Finding{unknown(errRedis.Error())}
	}
	list, err := growth.Samples(ctx, r.db)
	if err != nil {
		return []Finding{unknown("the samples of the memory in use cannot be read: " + err.Error())}
	}
	perDay, days := growth.PerDay(list)
	fullest := r.servers[0]
	for _, one := range r.servers {
		if one.Used > fullest.Used {
			fullest = one
		}
	}
	left := daysLeft(fullest, perDay, days)
	return s.servers(func(one redisdb.Server) (found []Finding) {
		if one.Memory == 0 {
			return []Finding{warning(fmt.Sprintf("maxmemory of %s is not set: %d MiB of its machine's %d are in use, and the system may end a Redis that takes all of them", one.Addr, one.Used/mebibyte, one.System/mebibyte),
				"set maxmemory"+page)}
		}
		used := one.Used * 100 / one.Memory
		text := fmt.Sprintf("%s uses %d MiB of %d, %d %%", one.Addr, one.Used/mebibyte, one.Memory/mebibyte, used)
		lasts := one.Addr == fullest.Addr && days > 0 && perDay > 0
		if lasts {
			text += fmt.Sprintf("; it grew by %d KiB a day in %d days, and the rest lasts about %d days", perDay/1024, days, left)
		}
		const cure = "raise maxmemory, or shorten the lifetimes of tokens and sessions; docs/operate/sizing.md"
		switch {
		case used >= nearlyAllUsed || lasts && left < veryFewDays:
			found = append(found, fault(text+": a full Redis refuses new tokens", cure))
		case used >= muchUsed || lasts && left < fewDays:
			found = append(found, warning(text, cure))
		}
		return found
	}, memorySound(fullest, perDay, days, left))
}

// daysLeft is how long the memory that is left lasts.
func daysLeft(one redisdb.Server, perDay, days int64) int64 {
	if days == 0 || perDay <= 0 || one.Memory == 0 {
		return math.MaxInt64
	}
	return max(one.Memory-one.Used, 0) / perDay
}

func memorySound(one redisdb.Server, perDay, days, left int64) string {
	text := fmt.Sprintf("%d MiB of %d are in use", one.Used/mebibyte, one.Memory/mebibyte)
	switch {
	case days == 0:
		return text + "; how long the rest lasts is not known before nodes have served for a day"
	case perDay <= 0:
		return fmt.Sprintf("%s; use did not grow in %d days", text, days)
	}
	return fmt.Sprintf("%s; use grew by %d KiB a day in %d days, and the rest lasts about %d days", text, perDay/1024, days, left)
}
