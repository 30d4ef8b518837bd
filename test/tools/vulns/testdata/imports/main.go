// Command imports what testdata/osv says is vulnerable, and does not call it.
package main

import "html"

func main() { println(html.UnescapeString("&lt;")) }
