package bitrix24test

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// fieldAdd is crm.deal.userfield.add: the prefix UF_CRM_ is added by the system.
func fieldAdd(c *call) (any, *restError) {
	if !c.user.admin {
		return nil, errOldDenied
	}
	in, ok := object(c.params["fields"])
	if !ok {
		return nil, bad("", "Parameter 'fields' must be array.")
	}
	name := strings.ToUpper(text(in["FIELD_NAME"]))
	if name == "" {
		return nil, bad("", "The 'FIELD_NAME' field is not found.")
	}
	name = "UF_CRM_" + strings.TrimPrefix(strings.TrimPrefix(name, "UF_"), "CRM_")
	f := &userField{name: name, kind: text(in["USER_TYPE_ID"]), xmlID: text(in["XML_ID"]), multiple: yes(in["MULTIPLE"]),
		mandatory: yes(in["MANDATORY"]), inFilter: yes(in["SHOW_FILTER"]), editable: true, sort: cmp.Or(number(in["SORT"]), 100), settings: in["SETTINGS"]}
	f.label = labels(cmp.Or(text(in["LABEL"]), name), nil)
	if in["EDIT_FORM_LABEL"] != nil {
		f.label = labels(in["EDIT_FORM_LABEL"], f.label)
	}
	if refused := c.p.checkNew(f); refused != nil {
		return nil, refused
	}
	f.id = c.p.id()
	if !c.p.setOptions(f, list(in["LIST"]), "ID", "VALUE", "XML_ID", "SORT", "DEF", "DEL") {
		return nil, bad("ERROR_CORE", "List item with this XML_ID already exists.")
	}
	c.p.fields = append(c.p.fields, f)
	return f.id, nil
}

func (p *Portal) checkNew(f *userField) *restError {
	switch {
	case f.kind == "":
		return bad("", "The 'USER_TYPE_ID' field is not found.")
	case len(f.name) > 50:
		return bad("ERROR_CORE", "Field name is too long (more than 50 characters).")
	case !fieldName.MatchString(f.name):
		return bad("ERROR_CORE", "Field name contains invalid characters. Allowed characters are: A-Z, 0-9 and _.")
	case !slices.Contains(fieldKinds, f.kind):
		return bad("ERROR_CORE", "Incorrect custom type specified.")
	case p.field(f.name) != nil:
		return bad("ERROR_CORE", "The field "+f.name+" for the object CRM_DEAL already exists.")
	}
	return nil
}

// old finds the field of an administrator's change.
func (c *call) old() (int, *userField, *restError) {
	i, f := c.byID()
	switch {
	case !c.user.admin:
		return i, nil, errOldDenied
	case number(c.params["id"]) == 0:
		return i, nil, errOldID
	case f == nil:
		return i, nil, bad("ERROR_NOT_FOUND", "The entity with ID '"+text(c.params["id"])+"' is not found")
	}
	return i, f, nil
}

func fieldUpdate(c *call) (any, *restError) {
	_, f, refused := c.old()
	if refused != nil {
		return nil, refused
	}
	in, ok := object(c.params["fields"])
	if !ok {
		return nil, bad("", "Parameter 'fields' must be array")
	}
	renamed := params{}
	for from, to := range map[string]string{"XML_ID": "xmlId", "SORT": "sort", "MANDATORY": "mandatory", "SHOW_FILTER": "showFilter",
		"EDIT_IN_LIST": "editInList", "IS_SEARCHABLE": "isSearchable", "SETTINGS": "settings", "EDIT_FORM_LABEL": "editFormLabel"} {
		if v, ok := in[from]; ok {
			renamed[to] = v
		}
	}
	c.p.configure(f, renamed)
	if in["LIST"] != nil && !c.p.setOptions(f, list(in["LIST"]), "ID", "VALUE", "XML_ID", "SORT", "DEF", "DEL") {
		return nil, bad("ERROR_CORE", "List item with this XML_ID already exists")
	}
	return true, nil
}

func fieldDelete(c *call) (any, *restError) {
	i, _, refused := c.old()
	if refused != nil {
		return nil, refused
	}
	c.p.dropField(i)
	return true, nil
}

func fieldGet(c *call) (any, *restError) {
	_, f, refused := c.old()
	if refused != nil {
		return nil, refused
	}
	out := f.oldRow()
	out["EDIT_FORM_LABEL"] = f.label
	return out, nil
}

func fieldList(c *call) (any, *restError) {
	if !c.user.deals {
		return nil, errOldDenied
	}
	lang := ""
	if filter, ok := object(c.params["filter"]); ok {
		lang = text(filter["LANG"])
	}
	rows := []params{}
	for _, f := range c.p.fields {
		row := f.oldRow()
		if lang != "" {
			row["EDIT_FORM_LABEL"], row["LIST_COLUMN_LABEL"] = f.title(lang), f.title(lang)
		}
		rows = append(rows, row)
	}
	rows, refused := c.find(rows, false)
	c.total = len(rows)
	return append([]params{}, rows...), refused
}

func (f *userField) oldRow() params {
	row := params{"ID": strconv.Itoa(f.id), "ENTITY_ID": "CRM_DEAL", "FIELD_NAME": f.name, "USER_TYPE_ID": f.kind, "XML_ID": nullable(f.xmlID),
		"SORT": strconv.Itoa(f.sort), "MULTIPLE": yn(f.multiple), "MANDATORY": yn(f.mandatory), "SHOW_FILTER": yn(f.inFilter), "SHOW_IN_LIST": "Y",
		"EDIT_IN_LIST": yn(f.editable), "IS_SEARCHABLE": yn(f.searchable), "SETTINGS": f.settings}
	if f.kind == "enumeration" {
		options := []params{}
		for _, o := range f.options {
			options = append(options, params{"ID": strconv.Itoa(o.id), "SORT": strconv.Itoa(o.sort), "VALUE": o.value, "DEF": yn(o.preset), "XML_ID": o.xmlID})
		}
		row["LIST"] = options
	}
	return row
}
