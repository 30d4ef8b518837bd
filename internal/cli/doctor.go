package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grantor-auth/grantor/config"
	"github.com/grantor-auth/grantor/internal/doctor"
)

// doctorCommand looks for what is wrong, before a start and beside running nodes.
func (p Program) doctorCommand() *cobra.Command {
	var path string
	var asJSON bool
	var o doctor.Options
	c := &cobra.Command{Use: "doctor", Short: "Look for what is wrong: configuration, certificates, Redis, issuer, clients, users, keys", Args: noArguments,
		Long: "Look for what is wrong with a deployment, before a start or beside running nodes. The command changes nothing.\n" +
			"Each line has a level, the name of the check, what was found and, behind ->, what to do. Levels are ok, warning,\n" +
			"fault, and unknown for what could not be looked at. The exit status is 0 without a fault, 1 with a fault, and 2\n" +
			"when the call is wrong or there is no configuration.",
		RunE: func(c *cobra.Command, _ []string) error { return p.doctor(c, path, asJSON, o) }}
	c.Flags().StringVar(&path, "config", "", "the file (default: GRANTOR_CONFIG, else ./config.toml)")
	c.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	c.Flags().StringVar(&o.CAFile, "ca-file", "", "PEM of the authorities to trust for the issuer (default: the system's)")
	c.Flags().DurationVar(&o.Timeout, "timeout", doctor.DefaultTimeout, "the longest time of the whole; each check may take a third of it")
	return c
}

func (p Program) doctor(c *cobra.Command, path string, asJSON bool, o doctor.Options) error {
	if o.Timeout < time.Second {
		return usageError{fmt.Errorf("--timeout must be 1s or more, not %s", o.Timeout)}
	}
	cfg, warnings, problems := config.Read(p.options(config.Options{Path: path}))
	if len(cfg.Files) == 0 {
		return problems // there is nothing to look at
	}
	report := doctor.Run(c.Context(), cfg, warnings, problems, o)
	if err := answer(c, asJSON, report, reportText(report)); err != nil {
		return err
	}
	if !report.OK {
		return errQuiet
	}
	return nil
}

func reportText(r doctor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-8s %-20s %s", f.Level, f.ID, f.Text)
		if f.Cure != "" {
			b.WriteString(" -> " + f.Cure)
		}
		b.WriteByte('\n')
	}
	sound := len(r.Findings) - r.Faults - r.Warnings - r.Unknown
	fmt.Fprintf(&b, "faults: %d, warnings: %d, unknown: %d, ok: %d\n", r.Faults, r.Warnings, r.Unknown, sound)
	return b.String()
}
