package cli

import "github.com/grantor-auth/grantor/internal/lockout"

// shownLocked is a user who is locked, in an answer.
type shownLocked struct {
	Sub         string `json:"sub"`
	SubjectHash string `json:"subject_hash"`
	Username    string `json:"username,omitempty"`
	lockout.ShownBudget
}

// userListLocked lists the users of every directory who are locked.
func (u *userRun) userListLocked() error {
	found, err := u.lockout().Recent(u.ctx)
	if err != nil {
		return err
	}
	list, text := []shownLocked{}, newTable("USER", "SUB", "HASH", "FAILED LOGINS")
	for _, b := range found {
		l := shownLocked{Sub: b.Subject, SubjectHash: u.codec.Tag(b.Subject).String(), ShownBudget: lockout.Show(b.Budget)}
		if u.dir.Directory != nil {
			if user, err := u.dir.Directory.ByID(u.ctx, b.Subject); err == nil {
				l.Username = user.Username
			}
		}
		list = append(list, l)
		text.row(l.Username, l.Sub, l.SubjectHash, budgetText(l.ShownBudget))
	}
	return answer(u.cmd, u.asJSON, list, text.String())
}
