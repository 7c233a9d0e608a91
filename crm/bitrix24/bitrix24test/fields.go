package bitrix24test

import (
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// userField is a custom field of deals.
type userField struct {
	id, sort                                  int
	name, kind, xmlID                         string
	multiple, mandatory, inFilter, searchable bool
	editable                                  bool
	label                                     map[string]string // by language
	settings                                  any
	options                                   []*option
}

// option is one value of an enumeration.
type option struct {
	id, sort     int
	value, xmlID string
	preset       bool
}

var fieldKinds = []string{"string", "integer", "double", "boolean", "datetime", "date", "money", "url", "enumeration", "employee", "crm", "crm_status"}

// field finds a custom field by name.
func (p *Portal) field(name string) *userField {
	if i := slices.IndexFunc(p.fields, func(f *userField) bool { return f.name == name }); i >= 0 {
		return p.fields[i]
	}
	return nil
}

// key is the field's name in crm.item.* answers.
func (f *userField) key(original bool) string {
	if original {
		return f.name
	}
	return camelField(f.name)
}

// camelField makes ufCrmDealStatus of UF_CRM_DEAL_STATUS; a part that starts with a digit
// keeps its underscore (ufCrm_1721244707107).
func camelField(name string) string {
	out := strings.Builder{}
	for i, part := range strings.Split(strings.ToLower(name), "_") {
		switch {
		case i == 0 || part == "":
			out.WriteString(part)
		case unicode.IsDigit(rune(part[0])):
			out.WriteString("_" + part)
		default:
			out.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return out.String()
}

// check turns a written value into its stored form: nil when empty, else a string, or
// []string of a multiple field.
func (f *userField) check(v any) (any, bool) {
	if !f.multiple {
		s, ok := f.checkOne(v)
		if s == "" {
			return nil, ok
		}
		return s, ok
	}
	if text(v) == "" && list(v) == nil {
		return nil, true
	}
	out := []string{}
	for _, x := range list(v) {
		s, ok := f.checkOne(x)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, list(v) != nil
}

var money = regexp.MustCompile(`^-?\d+(\.\d+)?\|[A-Z]{3}$`)

// layouts of dates that the portal reads; without an offset they mean its own zone.
var layouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "02.01.2006 15:04:05", "2006-01-02", "02.01.2006"}

func (f *userField) checkOne(v any) (string, bool) {
	if list(v) != nil {
		return "", false
	}
	s := strings.TrimSpace(text(v))
	if f.kind == "boolean" {
		return map[bool]string{true: "1", false: "0"}[yes(v)], true
	}
	if s == "" || (f.kind == "enumeration" && s == "0") {
		return "", true
	}
	switch f.kind {
	case "enumeration":
		return s, slices.ContainsFunc(f.options, func(o *option) bool { return strconv.Itoa(o.id) == s })
	case "money":
		return s, money.MatchString(s)
	case "integer", "employee":
		_, err := strconv.Atoi(s)
		return s, err == nil
	case "double":
		_, ok := new(big.Rat).SetString(s)
		return s, ok
	case "url":
		_, err := url.Parse(s)
		return s, err == nil
	case "datetime", "date":
		for _, layout := range layouts {
			if t, err := time.ParseInLocation(layout, s, zone); err == nil {
				return stamp(t), true
			}
		}
		return "", false
	}
	return text(v), true
}

// each maps a stored value, single or multiple.
func each(v any, one func(string) any) any {
	if many, ok := v.([]string); ok {
		out := []any{}
		for _, s := range many {
			out = append(out, one(s))
		}
		return out
	}
	s, _ := v.(string)
	return one(s)
}

// row is the value as crm.deal.* answers it: a string, "" when empty; false for an empty
// multiple field.
func (f *userField) row(v any) any {
	if f.multiple && v == nil {
		return false
	}
	return each(v, func(s string) any { return s })
}

// item is the value as crm.item.* answers it: numbers as numbers, booleans as Y and N.
func (f *userField) item(v any) any {
	if f.multiple && v == nil {
		return []any{}
	}
	return each(v, func(s string) any {
		switch f.kind {
		case "boolean":
			return yn(s == "1")
		case "enumeration", "integer", "employee":
			if n, err := strconv.Atoi(s); err == nil {
				return n
			}
			return nil
		case "double":
			if n, err := strconv.ParseFloat(s, 64); err == nil {
				return n
			}
			return nil
		case "datetime", "date":
			if s == "" {
				return nil
			}
		}
		return s
	})
}

// shown is the value for people and for the control API's state: an enumeration by its
// XML_ID (or, with label, by its text).
func (f *userField) shown(v any, label bool) any {
	return each(v, func(s string) any {
		for _, o := range f.options {
			switch {
			case strconv.Itoa(o.id) != s:
			case label || o.xmlID == "":
				return o.value
			default:
				return o.xmlID
			}
		}
		return s
	})
}

// optionID finds an option by id, XML_ID or text, for edits made by hand.
func (f *userField) optionID(s string) string {
	for _, o := range f.options {
		if o.xmlID == s || o.value == s {
			return strconv.Itoa(o.id)
		}
	}
	return s
}

func (f *userField) title(lang string) string {
	for _, l := range []string{lang, "en"} {
		if f.label[l] != "" {
			return f.label[l]
		}
	}
	return f.name
}

// describe is the field as crm.deal.fields and crm.item.fields answer it.
func (f *userField) describe() params {
	out := params{"type": f.kind, "isRequired": f.mandatory, "isReadOnly": false, "isImmutable": false, "isMultiple": f.multiple,
		"isDynamic": true, "title": f.title("en"), "listLabel": f.title("en"), "formLabel": f.title("en"), "filterLabel": f.title("en"), "settings": f.settings}
	if f.kind == "enumeration" {
		items := []params{}
		for _, o := range f.options {
			items = append(items, params{"ID": strconv.Itoa(o.id), "VALUE": o.value})
		}
		out["items"] = items
	}
	return out
}
