// Package tokens is what tokens look like and where they live.
//
// A [Codec] mints and reads token texts; what it did not mint is refused before any store is
// asked. A [Store] keeps a [Record] of each access token and a family of each log-in
// under the hash of the text, never the text. A token is active only by positive
// proof: its record and everything that it rests on are still there. So revoking is
// always a deletion, and losing a record can only end a token, never revive one.
//
// [Memory] and [Redis] are the two stores; package storetest is the one suite that both
// pass. The package knows nothing of HTTP and nothing of go-oauth2.
package tokens
