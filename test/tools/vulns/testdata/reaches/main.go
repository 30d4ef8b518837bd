// Command reaches calls what testdata/osv says is vulnerable.
package main

import "html"

func main() { println(html.EscapeString("<")) }
