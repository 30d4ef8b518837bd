// Package tokens owns the texts of tokens and the records that make them active.
//
// A [Codec] mints and reads texts: what it did not mint is refused before a store is asked. A
// [Store] keeps the [Record] of each access token and the [Session] of each login, under the hash
// of a text.
//
// A token is active only by positive proof: its record, and all that it depends on, is there. So a
// revocation is a deletion, and a lost record can end a token but never revive one.
//
// [Memory] and [Redis] are the two stores; package storetest is the suite that both pass. The
// package knows neither HTTP nor go-oauth2.
package tokens
