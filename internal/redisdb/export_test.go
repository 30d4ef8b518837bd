package redisdb

// AlwaysShare makes even a lone command take the queue.
func AlwaysShare(d *DB) { d.single.pipeline.maxDirect = -1 }

// LimitQueue changes how many commands may wait.
func LimitQueue(d *DB, n int) { d.single.pipeline.maxQueued = n }
