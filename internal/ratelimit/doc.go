// Package ratelimit bounds how many requests a client makes. A limit is a token bucket: so many
// requests a second, and a burst. A request never waits for another node.
//
// Where an Exchanger is given, nodes share the bucket of a client. Each node counts for itself,
// and tells every Every what it let through. The answer is what all nodes together have left of the
// bucket; from there on the node counts alone until the next exchange. Two promises follow, while
// an exchange takes less than MaxWay (docs/operate/limits.md proves them):
//
//   - A client inside its limit is never refused, however its requests spread over the nodes.
//   - In any w seconds n nodes let through at most rate × w + n × (burst + rate) requests.
//
// The first holds because counts that arrive late are backdated: they take first what the bucket
// would have gained in the last MaxAge if it had not been full.
package ratelimit
