//go:build !unix

package node

// maxConnections is how many connections a listener holds: these systems have no limit of
// descriptors to divide.
func maxConnections() int { return unboundedConnections }
