package bitrix24test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Custom fields, both families: userfieldconfig.* (section "Custom Fields of CRM Objects")
// and crm.deal.userfield.* (section "Custom Fields of Deals").
var fieldMethods = map[string]method{
	"userfieldconfig.add":       {scope: "userfieldconfig", write: true, run: configAdd},
	"userfieldconfig.update":    {scope: "userfieldconfig", write: true, run: configUpdate},
	"userfieldconfig.delete":    {scope: "userfieldconfig", write: true, run: configDelete},
	"userfieldconfig.get":       {scope: "userfieldconfig", run: configGet},
	"userfieldconfig.list":      {scope: "userfieldconfig", run: configList},
	"crm.deal.userfield.add":    {scope: "crm", write: true, run: fieldAdd},
	"crm.deal.userfield.update": {scope: "crm", write: true, run: fieldUpdate},
	"crm.deal.userfield.delete": {scope: "crm", write: true, run: fieldDelete},
	"crm.deal.userfield.get":    {scope: "crm", run: fieldGet},
	"crm.deal.userfield.list":   {scope: "crm", run: fieldList},
}

var fieldName = regexp.MustCompile(`^[A-Z0-9_]+$`)

// module checks moduleId and, of a change, the right "Allow to modify settings".
func (c *call) module(change bool) *restError {
	switch {
	case c.params["moduleId"] == nil:
		return missing("moduleId")
	case text(c.params["moduleId"]) != "crm":
		return bad("", "No settings for UserFieldAccess")
	case !c.p.granted("crm"):
		return bad("", "The current method required more scopes. (crm)")
	case change && !c.user.admin:
		return bad("", "Access denied")
	}
	return nil
}

func configAdd(c *call) (any, *restError) {
	if refused := c.module(true); refused != nil {
		return nil, refused
	}
	in, ok := object(c.params["field"])
	if !ok {
		return nil, missing("field")
	}
	name := text(in["fieldName"])
	if name == "" {
		return nil, bad("", "The 'FIELD_NAME' field is not found")
	}
	if text(in["entityId"]) != "CRM_DEAL" || !strings.HasPrefix(name, "UF_CRM_DEAL_") || !fieldName.MatchString(name) || len(name) > 50 {
		return nil, bad("", "You cannot create custom fields")
	}
	if text(in["userTypeId"]) == "" {
		return nil, bad("", "The 'USER_TYPE_ID' field is not found")
	}
	if c.p.field(name) != nil {
		return nil, bad("", "Field "+name+" already exists")
	}
	if !slices.Contains(fieldKinds, text(in["userTypeId"])) {
		return nil, bad("", "Fail to create new user field")
	}
	f := &userField{id: c.p.id(), name: name, kind: text(in["userTypeId"]), multiple: yes(in["multiple"]), sort: cmp.Or(number(in["sort"]), 100), editable: true}
	if !c.p.configure(f, in) {
		return nil, bad("", "Fail to save enumeration field values")
	}
	c.p.fields = append(c.p.fields, f)
	return params{"field": f.config(true)}, nil
}

// configure applies what may change in a field later on. It reports whether the options
// were accepted.
func (p *Portal) configure(f *userField, in params) bool {
	for key, set := range map[string]func(any){
		"xmlId":         func(v any) { f.xmlID = text(v) },
		"sort":          func(v any) { f.sort = cmp.Or(number(v), f.sort) },
		"mandatory":     func(v any) { f.mandatory = yes(v) },
		"showFilter":    func(v any) { f.inFilter = yes(v) },
		"editInList":    func(v any) { f.editable = yes(v) },
		"isSearchable":  func(v any) { f.searchable = yes(v) },
		"settings":      func(v any) { f.settings = v },
		"editFormLabel": func(v any) { f.label = labels(v, f.label) },
	} {
		if v, ok := in[key]; ok {
			set(v)
		}
	}
	if f.kind != "enumeration" || in["enum"] == nil {
		return true
	}
	return p.setOptions(f, list(in["enum"]), "id", "value", "xmlId", "sort", "def", "del")
}

func labels(v any, old map[string]string) map[string]string {
	out := map[string]string{}
	for k, s := range old {
		out[k] = s
	}
	byLang, ok := object(v)
	if !ok {
		return map[string]string{"en": text(v), "ru": text(v), "de": text(v)}
	}
	for lang, s := range byLang {
		out[lang] = text(s)
	}
	return out
}

// setOptions adds, changes and deletes options; keys are the names of id, value, xmlId,
// sort, def and del in the caller's dialect. XML_IDs must be unique.
func (p *Portal) setOptions(f *userField, in []any, keys ...string) bool {
	next := slices.Clone(f.options)
	for _, raw := range in {
		o, ok := object(raw)
		if !ok {
			return false
		}
		i := slices.IndexFunc(next, func(have *option) bool { return have.id == number(o[keys[0]]) })
		if i >= 0 && yes(o[keys[5]]) {
			next = slices.Delete(next, i, i+1)
			continue
		}
		if i < 0 {
			if text(o[keys[1]]) == "" {
				continue // options without a value are ignored
			}
			next = append(next, &option{id: p.id(), sort: 100})
			i = len(next) - 1
		}
		changed := *next[i]
		changed.value = cmp.Or(text(o[keys[1]]), changed.value)
		changed.xmlID = cmp.Or(text(o[keys[2]]), changed.xmlID, fmt.Sprintf("%032x", changed.id))
		changed.sort = cmp.Or(number(o[keys[3]]), changed.sort)
		changed.preset = yes(o[keys[4]])
		next[i] = &changed
	}
	seen := map[string]bool{}
	for _, o := range next {
		if seen[o.xmlID] {
			return false
		}
		seen[o.xmlID] = true
	}
	f.options = next
	return true
}

// config is the field as userfieldconfig.* answers it. The list leaves the options out.
func (f *userField) config(full bool) params {
	langs, none := params{}, params{}
	for lang := range f.label {
		langs[lang], none[lang] = lang, nil
	}
	out := params{"id": strconv.Itoa(f.id), "entityId": "CRM_DEAL", "fieldName": f.name, "userTypeId": f.kind, "xmlId": nullable(f.xmlID),
		"sort": strconv.Itoa(f.sort), "multiple": yn(f.multiple), "mandatory": yn(f.mandatory), "showFilter": yn(f.inFilter), "showInList": "Y",
		"editInList": yn(f.editable), "isSearchable": yn(f.searchable), "settings": f.settings, "languageId": langs, "editFormLabel": f.label,
		"listColumnLabel": none, "listFilterLabel": none, "errorMessage": none, "helpMessage": none}
	if full && f.kind == "enumeration" {
		enum := []params{}
		for _, o := range f.options {
			enum = append(enum, params{"id": strconv.Itoa(o.id), "userFieldId": strconv.Itoa(f.id), "value": o.value,
				"def": yn(o.preset), "sort": strconv.Itoa(o.sort), "xmlId": o.xmlID})
		}
		out["enum"] = enum
	}
	return out
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// byID finds a field by parameter id.
func (c *call) byID() (int, *userField) {
	id := number(c.params["id"])
	i := slices.IndexFunc(c.p.fields, func(f *userField) bool { return f.id == id })
	if i < 0 {
		return i, nil
	}
	return i, c.p.fields[i]
}

func configUpdate(c *call) (any, *restError) {
	if refused := c.module(true); refused != nil {
		return nil, refused
	}
	_, f := c.byID()
	in, _ := object(c.params["field"])
	if f == nil {
		return nil, bad("", "You cannot change the settings of the user field")
	}
	if text(in["userTypeId"]) != "enumeration" {
		delete(in, "enum") // applied only together with userTypeId
	}
	if !c.p.configure(f, in) {
		return nil, bad("", "Error while attempting to change user field settings")
	}
	return params{"field": f.config(true)}, nil
}

func configDelete(c *call) (any, *restError) {
	if refused := c.module(true); refused != nil {
		return nil, refused
	}
	i, f := c.byID()
	if f == nil {
		return nil, bad("", "You cannot delete the user field")
	}
	c.p.dropField(i)
	return nil, nil
}

// dropField deletes a field and its values.
func (p *Portal) dropField(i int) {
	for _, d := range p.deals {
		delete(d.uf, p.fields[i].name)
	}
	p.fields = slices.Delete(p.fields, i, i+1)
}

func configGet(c *call) (any, *restError) {
	if refused := c.module(false); refused != nil {
		return nil, refused
	}
	_, f := c.byID()
	if f == nil {
		return nil, bad("", "You do not have permission to view user field settings")
	}
	return params{"field": f.config(true)}, nil
}

func configList(c *call) (any, *restError) {
	if refused := c.module(false); refused != nil {
		return nil, refused
	}
	rows := []params{}
	for _, f := range c.p.fields {
		rows = append(rows, f.config(false))
	}
	rows, refused := c.find(rows, false)
	if refused != nil {
		return nil, refused
	}
	return params{"fields": append([]params{}, page(c, rows, 50)...)}, nil
}
