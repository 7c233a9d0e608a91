package mapping

import (
	"slices"

	"github.com/dealpay/dealpay/crm"
)

// Fields says where values are written that do not go to our own fields: pipeline → key of crm.FieldKeys → field of the
// CRM's, or crm.Nowhere.
type Fields map[string]map[string]string

// Trim is f without what says nothing: empty lines and pipelines.
func (f Fields) Trim() Fields {
	kept := Fields{}
	for pipeline, lines := range f {
		for key, field := range lines {
			if field == "" {
				continue
			}
			if kept[pipeline] == nil {
				kept[pipeline] = map[string]string{}
			}
			kept[pipeline][key] = field
		}
	}
	return kept
}

// Check refuses lines that name what the CRM does not have, a field that does not take the value, or a field twice in a
// pipeline. Otherwise it returns the types of the fields, which do not change while a field is there.
func (f Fields) Check(pipelines []crm.Pipeline, fields []crm.Field) (map[string]crm.FieldType, error) {
	types := map[string]crm.FieldType{}
	for pipeline, lines := range f {
		if !slices.ContainsFunc(pipelines, func(p crm.Pipeline) bool { return p.ID == pipeline }) {
			return nil, &Refusal{Code: "pipeline_unknown", Pipeline: pipeline}
		}
		taken := map[string]bool{}
		for key, id := range lines {
			at := slices.IndexFunc(fields, func(f crm.Field) bool { return f.ID == id })
			refusal := &Refusal{Pipeline: pipeline, Value: key, Field: id}
			switch {
			case !slices.Contains(crm.FieldKeys, key):
				refusal.Code = "value_unknown"
			case id == crm.Nowhere:
				continue
			case at < 0:
				refusal.Code = "field_unknown"
			case !fields[at].Fits(key):
				refusal.Code = "field_unfitting"
			case taken[id]:
				refusal.Code = "field_taken"
			default:
				taken[id], types[id] = true, fields[at].Type
				continue
			}
			return nil, refusal
		}
	}
	return types, nil
}

// Places is what an account is opened with; nil when all values go to our own fields.
func (f Fields) Places(types map[string]crm.FieldType) crm.Places {
	if len(f) == 0 {
		return nil
	}
	places := crm.Places{}
	for pipeline, lines := range f {
		places[pipeline] = map[string]crm.Place{}
		for key, field := range lines {
			places[pipeline][key] = crm.Place{Field: field, Type: types[field]}
		}
	}
	return places
}
