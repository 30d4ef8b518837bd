// Package console is the console: pages on the admin listener by which operators see and change
// what the admin API serves, in a browser. It has no rules of its own: each page asks the admin API
// of this process, as the operator who is logged in, and each change is in the audit trail with
// that operator as its actor.
//
//	console.go   the table of pages, and the order of the checks before each
//	guard.go     headers, Host, Origin and Sec-Fetch-Site, tokens of forms
//	login.go     the one-time link of "grantor console", and the header of a trusted proxy
//	redis.go     links, sessions, and forms that were sent
//	api.go       questions to the admin API
//	chart.go     charts of the last hour, as SVG
//	samples.go   the counts that they show
//	page_*.go    one file for each page
//
// It owns no clients, users or tokens, and keeps nothing but its sessions.
package console
