//go:build sqlite

package database

import _ "modernc.org/sqlite" // registers the driver "sqlite"
