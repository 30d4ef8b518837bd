package redisdb

// DBStats are counts since Open, and of now, for metrics.
type DBStats struct {
	Batches     uint64 // pipelines that carried commands of several callers
	Batched     uint64 // commands in them
	Refused     uint64 // commands refused because the queue was full
	Underway    int    // commands, now
	Connections int    // now
	Idle        int    // of these
	Servers     int    // that take writes
	Silent      int    // of these, those that do not answer

	ReplicasWanted int    // that must confirm a durable write; 0 where there never were any
	ReplicasSeen   int    // in step at the last look, those of the server with fewest
	Unconfirmed    uint64 // durable writes that too few confirmed
}

// Stats returns the counts.
func (d *DB) Stats() (s DBStats) {
	list := []*primary{d.single}
	if d.single == nil {
		list = d.primaries.all()
	}
	s.Underway = int(d.drain.inside.Load())
	s.Unconfirmed = d.unconfirmed.Load()
	looked := false
	for _, n := range list {
		pool := n.client.PoolStats()
		s.Batches += n.pipeline.batches.Load()
		s.Batched += n.pipeline.shared.Load()
		s.Refused += n.pipeline.refused.Load()
		s.Connections += int(pool.TotalConns)
		s.Idle += int(pool.IdleConns)
		s.Servers++
		if seen, ever, known := n.copies.stats(); known {
			if ever {
				s.ReplicasWanted = d.cfg.WaitReplicas
			}
			if !looked || seen < s.ReplicasSeen {
				s.ReplicasSeen, looked = seen, true
			}
		}
		if n.breaker.open.Load() {
			s.Silent++
		}
	}
	return s
}
