//go:build unix

package users

import (
	"encoding/base64"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// costs are hashes as Grantor, Django and others write them, with salts and digests of nobody: a
// wrong password costs what the right one does. docs/operate/login-cost.md shows the figures.
func costs() map[string]string {
	pbkdf2 := func(iterations int) string {
		return fmt.Sprintf("pbkdf2_sha256$%d$%s$%s", iterations, strings.Repeat("s", 22), base64.StdEncoding.EncodeToString(make([]byte, 32)))
	}
	raw := func(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	crypt := func(cost int) string {
		hash, err := bcrypt.GenerateFromPassword([]byte("nobody"), cost)
		if err != nil {
			panic(err)
		}
		return string(hash)
	}
	return map[string]string{
		"argon2id Grantor":                         "$argon2id$v=19$m=19456,t=2,p=1$" + raw(16) + "$" + raw(32),
		"argon2id Django Argon2PasswordHasher":     "argon2$argon2id$v=19$m=102400,t=2,p=8$" + raw(16) + "$" + raw(32),
		"pbkdf2_sha256 Django 4.2":                 pbkdf2(600_000),
		"pbkdf2_sha256 Django 5.0":                 pbkdf2(720_000),
		"pbkdf2_sha256 Django 5.1":                 pbkdf2(870_000),
		"pbkdf2_sha256 Django 5.2":                 pbkdf2(1_000_000),
		"pbkdf2_sha256 Django 6.0":                 pbkdf2(1_200_000),
		"pbkdf2_sha256 Django 6.1":                 pbkdf2(1_500_000),
		"bcrypt cost 10":                           crypt(10),
		"bcrypt_sha256 Django (cost 12)":           "bcrypt_sha256$" + crypt(12),
		"scrypt Django ScryptPasswordHasher (p=5)": "scrypt$16384$salt$8$5$" + base64.StdEncoding.EncodeToString(make([]byte, 64)),
	}
}

func TestCostsAreHashes(t *testing.T) {
	for name, text := range costs() {
		require.NoError(t, CheckHash(text), name)
	}
}

// cpuTime is how long this process has used a processor.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPasswordCheck is what the password of one login costs, in time of one core: other
// programs on the machine hardly change it.
func BenchmarkPasswordCheck(b *testing.B) {
	for name, text := range costs() {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			hash, err := parseHash(text)
			require.NoError(b, err)
			slots, before := NewSlots(1), cpuTime(b)
			for b.Loop() {
				ok, err := slots.match(b.Context(), hash, "correct horse battery staple")
				require.NoError(b, err)
				require.False(b, ok)
			}
			each := (cpuTime(b) - before) / time.Duration(b.N)
			b.ReportMetric(each.Seconds()*1000, "cpu-ms/login")
			b.ReportMetric(1/each.Seconds(), "logins/s/core")
			b.ReportMetric(float64(hash.memory())/(1<<20), "MiB")
		})
	}
}
