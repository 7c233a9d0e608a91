package tasks

import (
	"encoding/json"
	"fmt"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
)

// kept is what is remembered of a write: what the deal's fields hold since, and which values went elsewhere than to our own
// fields, as the settings were then.
type kept struct {
	crm.State
	Fields map[string]string `json:",omitempty"` // as tenants.Settings.Fields has them of the deal's pipeline
}

func (k *kept) read(written json.RawMessage) error {
	if err := json.Unmarshal(written, k); err != nil {
		return fmt.Errorf("read what was written: %w", err)
	}
	return nil
}

// seen is what a deal holds as far as it can be compared with what it should hold: a value that is written nowhere, or that
// went to another field than the settings name now, counts as right, and a field of numbers holds no currency.
func seen(held, want crm.State, was kept, s tenants.Settings) crm.State {
	now := s.Fields[held.Pipeline]
	for _, key := range crm.FieldKeys {
		field := now[key]
		if m := held.Amount(key); m != nil && m.Decimal != "" && s.FieldTypes[field] == string(crm.NumberField) {
			m.Currency = want.Amount(key).Currency
		}
		if field == was.Fields[key] && field != crm.Nowhere {
			continue
		}
		switch m, at := held.Amount(key), held.Moment(key); {
		case m != nil:
			*m = *want.Amount(key)
		case at != nil:
			*at = *want.Moment(key)
		case key == "status":
			held.Status = want.Status
		case key == "link":
			held.Link = want.Link
		default:
			held.Reference = want.Reference
		}
	}
	return held
}
