// Package node is a running Grantor: the server over its stores, with everything that must run
// beside the requests.
//
//	cfg, _, err := config.Load(config.Options{Path: "grantor.toml"})
//	n, err := node.Open(ctx, cfg, node.Options{})
//	defer n.Close()
//	err = n.Run(ctx)                                  // serves where the configuration says, or
//	err = http.ListenAndServe(addr, n.Handler())      // mounted in a server of yours
//
// A Node owns the connections to Redis, the signing keys, the audit trail, the counts, and every
// goroutine that follows clients, keys and time. Open starts them and Close ends them. Requests are
// answered as soon as Open returns; Run is only for programs whose listeners Grantor opens itself.
//
// A Node does not own the process. It reads no file but those that the configuration names, watches
// none, handles no signal, and sets no process-wide value. Grantor's routes are not printed among
// yours when Gin is in debug mode: package server sets gin.DebugPrintFunc at its initialization to
// what Gin prints by default, less its own routes.
package node
