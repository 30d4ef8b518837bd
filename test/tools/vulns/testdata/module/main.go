// Command module calls what testdata/osv says is vulnerable in a module.
package main

import "golang.org/x/mod/semver"

func main() { println(semver.IsValid("v1.0.0")) }
