package clients

// MaxRate is the highest requests_per_second and requests_burst of a client.
const MaxRate = 1_000_000

// checkRate says what is wrong with a client's limit of requests.
func (c *Client) checkRate(bad badFunc) {
	if n := c.RequestsPerSecond; n < -1 || n > MaxRate {
		bad("requests_per_second", "%d must be 1 to %d; -1: no limit; 0: that of [limits]", n, MaxRate)
	}
	switch n := c.RequestsBurst; {
	case n < 0 || n > MaxRate:
		bad("requests_burst", "%d must be 1 to %d; 0: as many as requests_per_second", n, MaxRate)
	case n > 0 && c.RequestsPerSecond <= 0:
		bad("requests_burst", "needs requests_per_second, the limit that it belongs to")
	}
}
