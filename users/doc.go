// Package users is resource owners (RFC 6749 §1.1) and how they prove themselves with
// a name and a password (RFC 6749 §4.3).
//
// [Authenticator] is the seam to the rest of the server. [Hashing] implements it on
// any [Directory] that hands out password hashes: [ConfigDirectory] (config.toml), [Redis]
// (managed by Grantor), [SQL] (an application's own table). [HTTP] implements it by
// asking the application, which compares the password itself.
//
// A login has three steps, so that a guess can be counted before it costs anything:
//
//	login, err := users.NewLogin(username, password) // *MalformedError: invalid_request
//	// … the caller reserves the attempt for the address
//	attempt, err := auth.Lookup(ctx, login)          // attempt.Key() is what failures count by
//	// … and for the user; over the limit: auth.Decline(ctx), then refuse
//	user, err := auth.Verify(ctx, attempt)           // ErrRefused, ErrBusy, ErrUnavailable
//
// At each refresh the caller asks Recheck(ctx, id) and compares [Fingerprints]: a disabled user and
// a changed password end the session.
//
// # Names and passwords
//
// Login names are normalised (see [NormalizeName]); a directory's names must be stored so, or
// compared by a collation that does not mind. Passwords are compared as they were typed, as Django,
// PHP and bcrypt's tools hash them, and then as RFC 8265 §4.2 OpaqueString normalises them; [Hash]
// normalises. [HTTP] hands them on as typed. Both are bounded (RFC 6749 App. A.15, A.16).
//
// # What the package does not do
//
// It counts no failures, issues no tokens, and ends none: after Disable, Delete or SetPassword of
// [Redis] the caller ends the user's epoch.
package users
