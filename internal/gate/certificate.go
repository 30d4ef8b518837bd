package gate

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// certificate is a pair of files that are renewed while the gate runs.
type certificate struct {
	certFile, keyFile string
	failed            func(error)

	mu      sync.Mutex
	pair    *tls.Certificate
	changed time.Time // of the file
	looked  time.Time
}

// lookEvery is how often the file's time is read, at a handshake.
const lookEvery = 10 * time.Second

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookEvery {
		if err := c.read(); err != nil {
			c.failed(err)
		}
	}
	return c.pair, nil
}

// read loads the pair if the certificate's file is another than before.
func (c *certificate) read() error {
	c.looked = time.Now()
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	if c.pair != nil && info.ModTime().Equal(c.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair, c.changed = &pair, info.ModTime()
	return nil
}
