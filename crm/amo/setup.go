package amo

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/dealpay/dealpay/crm"
)

// customField is a field of leads (amocrm.ru "Custom fields").
type customField struct {
	ID         scalar   `json:"id"`
	Name       string   `json:"name"`
	Code       string   `json:"code"`
	Type       string   `json:"type"`
	APIOnly    bool     `json:"is_api_only"`
	Predefined bool     `json:"is_predefined"`
	Enums      []option `json:"enums"`
}

// option is one choice of a select field.
type option struct {
	ID    json.Number `json:"id,omitempty"`
	Value string      `json:"value"`
	Code  string      `json:"code,omitempty"`
	Sort  int         `json:"sort"`
}

// Setup makes the fields and the webhook subscription that are missing and repairs what people changed: options
// that lost their code, a field that became editable, a webhook that was switched off. Names that people gave to
// fields and options are left alone.
func (a *Account) Setup(ctx context.Context) (crm.Layout, error) {
	fields, err := a.ensureFields(ctx)
	if err != nil {
		return nil, err
	}
	events, err := a.ensureSubscription(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(layout{Fields: fields, Events: events})
	if err != nil {
		return nil, &crm.Error{Class: crm.Refused, Op: "setup", Code: "layout", Err: err}
	}
	return raw, nil
}

// ensureFields makes and repairs our fields and returns them as the account then has them.
func (a *Account) ensureFields(ctx context.Context) (map[string]field, error) {
	const path = "/leads/custom_fields"
	fields, err := a.fields(ctx)
	if err != nil {
		return nil, err
	}
	var missing []map[string]any
	repaired := false
	for i, key := range fieldKeys {
		have, ok := fields[key]
		if !ok {
			missing = append(missing, a.newField(key, i))
			continue
		}
		if have.Type != fieldTypes[key] {
			return nil, refusal("setup", "field_type_"+fieldCode(key)) // somebody else's field has our code
		}
		change := a.repair(key, have)
		if change == nil {
			continue
		}
		if err := a.do(ctx, call{method: http.MethodPatch, path: path + "/" + string(have.ID), body: change}, nil); err != nil {
			return nil, err
		}
		repaired = true
	}
	if len(missing) > 0 {
		if err := a.do(ctx, call{method: http.MethodPost, path: path, body: missing}, nil); err != nil {
			return nil, err
		}
	}
	if repaired || len(missing) > 0 {
		if fields, err = a.fields(ctx); err != nil {
			return nil, err
		}
	}
	return known(fields)
}

// fields lists our fields by key.
func (a *Account) fields(ctx context.Context) (map[string]customField, error) {
	found, err := all[customField](ctx, a, "/leads/custom_fields", "custom_fields", nil)
	if err != nil {
		return nil, err
	}
	ours := map[string]customField{}
	for _, key := range fieldKeys {
		if i := slices.IndexFunc(found, func(f customField) bool { return f.Code == fieldCode(key) }); i >= 0 {
			ours[key] = found[i]
		}
	}
	return ours, nil
}

// newField describes a field to be made. Only the API may write it: people see payments, they do not type them.
func (a *Account) newField(key string, position int) map[string]any {
	f := map[string]any{"name": fieldName(key, a.cfg.Lang), "code": fieldCode(key), "type": fieldTypes[key],
		"sort": 500 + 10*position, "is_api_only": true, "request_id": key}
	if key == "status" {
		f["enums"] = a.options(nil)
	}
	return f
}

// options is the wanted list of options, built on those that are there.
func (a *Account) options(have []option) []option {
	want := slices.Clone(have)
	for i, s := range crm.Statuses {
		at := slices.IndexFunc(want, func(o option) bool { return o.Code == string(s) })
		if at < 0 {
			at = slices.IndexFunc(want, func(o option) bool { return o.Code == "" && crm.StatusOf(o.Value) == s })
		}
		if at < 0 {
			want = append(want, option{Value: s.Label(a.cfg.Lang), Code: string(s), Sort: 10 * (i + 1)})
		} else {
			want[at].Code = string(s)
		}
	}
	return want
}

// repair returns what has to change in a field that is there, nil for nothing.
func (a *Account) repair(key string, have customField) map[string]any {
	change := map[string]any{}
	if !have.APIOnly {
		change["is_api_only"] = true
	}
	if key == "status" {
		if want := a.options(have.Enums); !slices.Equal(want, have.Enums) {
			change["enums"] = want
		}
	}
	if len(change) == 0 {
		return nil
	}
	return change
}

// known is the layout of fields, once all of them are there.
func known(fields map[string]customField) (map[string]field, error) {
	got := map[string]field{}
	for _, key := range fieldKeys {
		f, ok := fields[key]
		if !ok {
			return nil, &crm.Error{Class: crm.Transient, Op: "setup", Code: "field_" + fieldCode(key), Err: errNotListed}
		}
		one := field{ID: string(f.ID)}
		for _, o := range f.Enums {
			if slices.Contains(crm.Statuses, crm.Status(o.Code)) {
				if one.Enums == nil {
					one.Enums = map[string]string{}
				}
				one.Enums[o.Code] = o.ID.String()
			}
		}
		got[key] = one
	}
	return got, nil
}
