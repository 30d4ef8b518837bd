package clients

// Forget makes this node read these clients anew: the revocation feed says that they changed.
func (l *Cached) Forget(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version.Add(1)
	for _, id := range ids {
		l.cache.Remove(id)
		l.none.Remove(id)
	}
}

// ForgetAll makes this node read every client anew.
func (l *Cached) ForgetAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version.Add(1)
	l.cache.Purge()
	l.none.Purge()
}
