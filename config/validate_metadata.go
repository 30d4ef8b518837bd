package config

import "github.com/grantor-auth/grantor/internal/metadata"

// metadata checks what the operator adds to the metadata.
func (d *decoder) metadata() {
	m := d.cfg.Metadata
	if err := metadata.CheckPreset(m.Preset); err != nil {
		d.bad("metadata.preset", "%s", err)
	}
	for _, name := range sortedKeys(m.Extra) {
		if err := metadata.Check(m.Preset, name, m.Extra[name]); err != nil {
			d.bad(join("metadata.extra", name), "%s", err)
		}
	}
}
