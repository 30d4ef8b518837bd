package server

import (
	"sync"

	"github.com/gin-gonic/gin"
)

// ginMode guards Gin's mode, which is one for the whole process.
var ginMode sync.Mutex

// quietly builds routes without Gin's debug lines: a program that mounts the server has routes of its own to print. Gin
// prints in debug mode alone, and knows no other switch, so that the mode changes for the moment; in no other mode.
func quietly(build func() (*gin.Engine, error)) (*gin.Engine, error) {
	ginMode.Lock()
	defer ginMode.Unlock()
	if gin.IsDebugging() {
		gin.SetMode(gin.ReleaseMode)
		defer gin.SetMode(gin.DebugMode)
	}
	return build()
}
