// Command pack makes packages of a binary, as a release does: "make packages".
//
//	go run -C test/release ./pack -root ../.. -binary ../../bin/grantor -version 0.9.0 -output ../../bin deb rpm
package main

import (
	"flag"
	"fmt"
	"log"
	"runtime"

	"github.com/grantor-auth/grantor/test/release/packages"
)

func main() {
	log.SetFlags(0)
	var b packages.Build
	flag.StringVar(&b.Root, "root", "../..", "the source tree")
	flag.StringVar(&b.Binary, "binary", "", "the path of the program")
	flag.StringVar(&b.Version, "version", "", "the version, such as 0.9.0")
	flag.StringVar(&b.Arch, "arch", runtime.GOARCH, "amd64 or arm64")
	flag.StringVar(&b.Output, "output", ".", "the folder to write")
	flag.Parse()
	if b.Binary == "" || b.Version == "" || flag.NArg() == 0 {
		log.Fatal("pack needs -binary, -version, and one of deb and rpm")
	}
	for _, format := range flag.Args() {
		name, err := packages.Pack(b, format)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name)
	}
}
