package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grantor-auth/grantor/clients"
	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/audit"
)

// exported is what export writes and apply reads.
type exported struct {
	Clients []clients.Registration `json:"clients"`
}

func (p Program) clientExport(r *clientRun, _ []string) error {
	out := exported{Clients: []clients.Registration{}}
	if err := r.manager.Redis.All(r.ctx, func(s *clients.Stored) error {
		out.Clients = append(out.Clients, s.Registration)
		return nil
	}); err != nil {
		return err
	}
	return answer(r.cmd, true, out, "")
}

// readWhole reads a file without the mark that some editors write before its text.
func readWhole(name string) ([]byte, error) {
	text, err := os.ReadFile(name) // #nosec G304 -- the operator's
	if err != nil {
		return nil, err
	}
	if text, err = config.WithoutBOM(text); err != nil {
		return nil, fmt.Errorf("%s %w", name, err)
	}
	return text, nil
}

// clientApply makes the registry hold what a file says. Clients that the file does not name stay as
// they are.
func (p Program) clientApply(r *clientRun, _ []string) error {
	var in io.Reader = p.Stdin
	switch r.file {
	case "":
		return usageError{errors.New("say -f FILE, or -f - for standard input")}
	case "-":
	default:
		text, err := readWhole(r.file)
		if err != nil {
			return usageError{err}
		}
		in = bytes.NewReader(text)
	}
	list, err := clients.ReadRegistrations(in)
	if err != nil {
		return usageError{err}
	}
	for i := range list {
		for _, passed := range list[i].JWKS.PassedOver() {
			fmt.Fprintf(p.Stderr, "warning: clients[%d] %q: jwks: passed over: %s\n", i, list[i].ID, passed)
		}
	}
	var wrong error
	for i := range list { // all are looked at before one is written
		if err := r.manager.Check(&list[i]); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("clients[%d] %q: %w", i, list[i].ID, err))
		}
	}
	if wrong != nil {
		return usageError{wrong}
	}
	result := map[string][]string{"created": {}, "changed": {}, "unchanged": {}}
	var unconfirmed error
	for i := range list {
		what, err := r.put(&list[i])
		if detail, told := map[string]string{"created": audit.Created, "changed": audit.Changed}[what]; told && wasMade(err) {
			r.trail.queue(registryChange(list[i].ID, detail, err))
		}
		if errors.Is(err, clients.ErrNotConfirmed) {
			unconfirmed, err = err, nil
		}
		if err != nil {
			return fmt.Errorf("clients[%d] %q: %w", i, list[i].ID, err)
		}
		result[what] = append(result[what], list[i].ID)
	}
	r.trail.flush()
	text := fmt.Sprintf("%d created, %d changed, %d unchanged\n", len(result["created"]), len(result["changed"]), len(result["unchanged"]))
	return errors.Join(answer(r.cmd, r.asJSON, result, text), unconfirmed)
}

// put creates or changes one client, and says which.
func (r *clientRun) put(want *clients.Registration) (string, error) {
	err := r.manager.Create(r.ctx, &clients.Stored{Registration: *want})
	if err == nil || errors.Is(err, clients.ErrNotConfirmed) {
		return "created", err
	}
	if !errors.Is(err, clients.ErrExists) {
		return "", err
	}
	what := "unchanged"
	_, err = r.manager.Update(r.ctx, want.ID, func(s *clients.Stored) error {
		before, err1 := json.Marshal(s.Registration)
		after, err2 := json.Marshal(want)
		if what = "unchanged"; !bytes.Equal(before, after) {
			what = "changed"
			if s.Disabled != want.Disabled {
				s.Epoch = clients.NewEpoch()
			}
		}
		s.Registration = *want
		s.Stated = []string{"scope", "grant_types", "token_endpoint_auth_method"}
		return errors.Join(err1, err2)
	})
	return what, err
}
