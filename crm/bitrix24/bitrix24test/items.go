package bitrix24test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// entityTypeId values (page "CRM Data Types").
const (
	typeDeal    = 2
	typeContact = 3
	typeInvoice = 31
)

// Universal methods (section "Universal Methods for CRM Objects"): camelCase names, numbers
// as numbers.
var itemMethods = map[string]method{
	"crm.item.get":             {scope: "crm", run: itemGet},
	"crm.item.list":            {scope: "crm", run: itemList},
	"crm.item.fields":          {scope: "crm", run: itemFields},
	"crm.item.add":             {scope: "crm", write: true, run: itemAdd},
	"crm.item.update":          {scope: "crm", write: true, run: itemUpdate},
	"crm.item.delete":          {scope: "crm", write: true, run: itemDelete},
	"crm.item.productrow.list": {scope: "crm", run: productRows},
}

var (
	errNoType = bad("NOT_FOUND", "Smart process not found")
	errNoItem = bad("NOT_FOUND", "Element not found")
)

// columns maps the camelCase names that may be written to the stored ones.
var columns = map[string]string{"title": "TITLE", "stageId": "STAGE_ID", "categoryId": "CATEGORY_ID", "opportunity": "OPPORTUNITY",
	"currencyId": "CURRENCY_ID", "assignedById": "ASSIGNED_BY_ID", "contactId": "CONTACT_ID"}

func (c *call) original() bool { return yes(c.params["useOriginalUfNames"]) }

// kind checks entityTypeId.
func (c *call) kind() (int, *restError) {
	kind := number(c.params["entityTypeId"])
	if kind == 0 {
		return 0, missing("entityTypeId")
	}
	if kind != typeDeal && kind != typeContact && kind != typeInvoice {
		return 0, errNoType
	}
	return kind, nil
}

// item finds the deal of the parameters for a user who may see it.
func (c *call) item() (*deal, *restError) {
	kind, refused := c.kind()
	if refused != nil {
		return nil, refused
	}
	if c.params["id"] == nil {
		return nil, missing("id")
	}
	d := c.p.deals[number(c.params["id"])]
	if kind != typeDeal || d == nil {
		return nil, errNoItem
	}
	if !c.user.deals {
		return nil, bad("ACCESS_DENIED", "You do not have permission to view this item")
	}
	return d, nil
}

func itemGet(c *call) (any, *restError) {
	if number(c.params["entityTypeId"]) == typeContact {
		who := c.p.contacts[number(c.params["id"])]
		if who == nil {
			return nil, errNoItem
		}
		if !c.user.deals {
			return nil, bad("ACCESS_DENIED", "You do not have permission to view this item")
		}
		return params{"item": who.item()}, nil
	}
	d, refused := c.item()
	if refused != nil {
		return nil, refused
	}
	return params{"item": c.p.dealItem(d, c.original())}, nil
}

func itemList(c *call) (any, *restError) {
	kind, refused := c.kind()
	if refused != nil {
		return nil, refused
	}
	rows := []params{} // items that the user may not read are left out
	switch {
	case kind == typeDeal && c.user.deals:
		for _, d := range c.p.sorted() {
			rows = append(rows, c.p.dealItem(d, c.original()))
		}
	case kind == typeContact && c.user.deals:
		for _, id := range slices.Sorted(maps.Keys(c.p.contacts)) {
			rows = append(rows, c.p.contacts[id].item())
		}
	}
	rows, refused = c.find(rows, true)
	if refused != nil {
		return nil, refused
	}
	out, sel := []params{}, list(c.params["select"])
	for _, row := range page(c, rows, 50) {
		if len(sel) > 0 && !slices.ContainsFunc(sel, func(s any) bool { return text(s) == "*" }) {
			delete(row, "fm") // comes with "*" only
			row = pick(row, sel, "id")
		}
		out = append(out, row)
	}
	return params{"items": out}, nil
}

func itemAdd(c *call) (any, *restError) {
	if kind, refused := c.kind(); refused != nil || kind != typeDeal {
		return nil, errNoType
	}
	if !c.user.deals {
		return nil, errDenied
	}
	fields, ok := object(c.params["fields"])
	if !ok {
		return nil, missing("fields")
	}
	d, refused := c.p.create(c.stored(fields), c.user.id, c.invalid)
	if refused != nil {
		return nil, refused
	}
	return params{"item": c.p.dealItem(d, c.original())}, nil
}

func itemUpdate(c *call) (any, *restError) {
	d, refused := c.item()
	if refused != nil {
		return nil, refused
	}
	fields, ok := object(c.params["fields"])
	if !ok {
		return nil, missing("fields")
	}
	if refused := c.p.edit(d, c.stored(fields), c.user.id, c.invalid); refused != nil {
		return nil, refused
	}
	return params{"item": c.p.dealItem(d, c.original())}, nil
}

func itemDelete(c *call) (any, *restError) {
	d, refused := c.item()
	if refused != nil {
		return nil, refused
	}
	c.p.remove(d, c.user.id)
	return []any{}, nil
}

// stored renames fields to the stored names; names that do not exist in the asked form are
// ignored, as documented.
func (c *call) stored(fields params) params {
	out := params{}
	for name, v := range fields {
		if column, ok := columns[name]; ok {
			out[column] = v
		}
		for _, f := range c.p.fields {
			if name == f.key(c.original()) {
				out[f.name] = v
			}
		}
	}
	return out
}

func (c *call) invalid(column string) *restError {
	for camel, name := range columns {
		if name == column {
			column = camel
		}
	}
	if strings.HasPrefix(column, "UF_") && !c.original() {
		column = camelField(column)
	}
	return bad("CRM_FIELD_ERROR_VALUE_NOT_VALID", "Invalid value for field \""+column+"\"")
}

// dealItem is a deal as crm.item.* answers it.
func (p *Portal) dealItem(d *deal, original bool) params {
	contacts := []int{}
	if d.contact != 0 {
		contacts = append(contacts, d.contact)
	}
	item := params{"id": d.id, "createdTime": stamp(d.created), "updatedTime": stamp(d.updated), "createdBy": d.author, "updatedBy": d.editor,
		"assignedById": d.owner, "opened": "Y", "leadId": nil, "companyId": 0, "contactId": d.contact, "quoteId": nil, "title": d.title,
		"categoryId": d.category, "stageId": d.stage, "stageSemanticId": semantics(d.stage), "isNew": yn(strings.HasSuffix(d.stage, "NEW")),
		"closed": yn(semantics(d.stage) != "P"), "typeId": "SALE", "opportunity": bare(d.amount), "isManualOpportunity": "Y",
		"taxValue": 0, "currencyId": d.currency, "probability": nil, "comments": "", "begindate": stamp(d.created),
		"closedate": stamp(d.created.AddDate(0, 0, 7)), "originatorId": nil, "originId": nil, "movedBy": d.mover, "movedTime": stamp(d.moved),
		"lastActivityBy": d.editor, "lastActivityTime": stamp(d.updated), "observers": []int{}, "contactIds": contacts, "entityTypeId": typeDeal}
	for _, f := range p.fields {
		item[f.key(original)] = f.item(d.uf[f.name])
	}
	return item
}

// bare writes an amount as a JSON number without trailing zeros.
func bare(amount string) json.Number {
	return json.Number(strings.TrimSuffix(strings.TrimRight(amount, "0"), "."))
}

func (who *contact) item() params {
	return params{"id": who.id, "name": who.name, "lastName": "", "secondName": "", "assignedById": 2, "hasPhone": "Y", "hasEmail": "Y",
		"phoneWork": who.phone, "emailWork": who.email, "phone": who.phone, "email": who.email, "entityTypeId": typeContact,
		"fm": []params{
			{"id": 2*who.id + 99, "typeId": "PHONE", "valueType": "WORK", "value": who.phone},
			{"id": 2*who.id + 100, "typeId": "EMAIL", "valueType": "WORK", "value": who.email},
		}}
}

// row is a contact as crm.contact.get answers it.
func (who *contact) row() params {
	value := func(id int, kind, v string) []params {
		return []params{{"ID": strconv.Itoa(id), "VALUE_TYPE": "WORK", "VALUE": v, "TYPE_ID": kind}}
	}
	return params{"ID": strconv.Itoa(who.id), "NAME": who.name, "SECOND_NAME": "", "LAST_NAME": "", "COMPANY_ID": nil, "ASSIGNED_BY_ID": "2",
		"HAS_PHONE": "Y", "HAS_EMAIL": "Y", "PHONE": value(2*who.id+99, "PHONE", who.phone), "EMAIL": value(2*who.id+100, "EMAIL", who.email)}
}

func itemFields(c *call) (any, *restError) {
	kind, refused := c.kind()
	if refused != nil {
		return nil, refused
	}
	out := params{"id": params{"type": "integer", "isReadOnly": true, "upperName": "ID", "title": "ID", "isDynamic": false}}
	if kind == typeDeal {
		for camel, upper := range columns {
			out[camel] = params{"type": "string", "isReadOnly": false, "isMultiple": false, "isDynamic": false, "upperName": upper, "title": upper}
		}
		for _, f := range c.p.fields {
			about := f.describe()
			about["upperName"] = f.name
			out[f.key(c.original())] = about
		}
	}
	return params{"fields": out}, nil
}

func productRows(c *call) (any, *restError) {
	c.total = 0
	return params{"productRows": []any{}}, nil
}
