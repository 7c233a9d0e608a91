package bitrix24test

import (
	"maps"
	"math/big"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Deals, old form: upper-case names, every value a string (pages "Get Deal by Id", "Get a
// List of Deals", "Update Deal").
var dealMethods = map[string]method{
	"crm.deal.get":             {scope: "crm", run: dealGet},
	"crm.deal.list":            {scope: "crm", run: dealList},
	"crm.deal.fields":          {scope: "crm", run: dealFields},
	"crm.deal.add":             {scope: "crm", write: true, run: dealAdd},
	"crm.deal.update":          {scope: "crm", write: true, run: dealUpdate},
	"crm.deal.delete":          {scope: "crm", write: true, run: dealDelete},
	"crm.deal.productrows.get": {scope: "crm", run: func(c *call) (any, *restError) { return []any{}, nil }},
}

// deal finds the deal of parameter id for a user who may see it.
func (c *call) deal() (*deal, *restError) {
	id := number(c.params["id"])
	if id == 0 {
		id = number(c.params["ID"])
	}
	switch d := c.p.deals[id]; {
	case id == 0:
		return nil, errOldID
	case d == nil:
		return nil, errOldNotFound
	case !c.user.deals:
		return nil, errOldDenied
	default:
		return d, nil
	}
}

func dealGet(c *call) (any, *restError) {
	d, refused := c.deal()
	if refused != nil {
		return nil, refused
	}
	return c.p.dealRow(d), nil
}

func dealList(c *call) (any, *restError) {
	if !c.user.deals {
		return nil, errOldDenied
	}
	rows := []params{}
	for _, d := range c.p.sorted() {
		rows = append(rows, c.p.dealRow(d))
	}
	return c.selected(rows)
}

// selected filters, sorts, pages and picks columns as the old list methods do.
func (c *call) selected(rows []params) (any, *restError) {
	rows, refused := c.find(rows, false)
	if refused != nil {
		return nil, refused
	}
	out := []params{}
	for _, row := range page(c, rows, 50) {
		out = append(out, pick(row, list(c.params["select"]), "ID"))
	}
	return out, nil
}

// pick keeps the selected columns; "*" is every standard one, "UF_*" every custom one.
func pick(row params, sel []any, always string) params {
	out := params{always: row[always]}
	for k, v := range row {
		custom := strings.HasPrefix(k, "UF_")
		if len(sel) == 0 && !custom || slices.ContainsFunc(sel, func(s any) bool {
			return text(s) == k || (text(s) == "*" && !custom) || (text(s) == "UF_*" && custom)
		}) {
			out[k] = v
		}
	}
	return out
}

func dealAdd(c *call) (any, *restError) {
	if !c.user.deals {
		return nil, errOldDenied
	}
	fields, ok := object(c.params["fields"])
	if !ok {
		return nil, bad("", "Parameter 'fields' must be array.")
	}
	d, refused := c.p.create(fields, c.user.id, oldInvalid)
	if refused != nil {
		return nil, refused
	}
	return d.id, nil
}

func dealUpdate(c *call) (any, *restError) {
	fields, ok := object(c.params["fields"])
	if !ok {
		return nil, bad("", "Parameter 'fields' must be array.")
	}
	d, refused := c.deal()
	if refused != nil {
		return nil, refused
	}
	fields = maps.Clone(fields)
	delete(fields, "CATEGORY_ID") // crm.deal.update leaves the pipeline alone
	if refused := c.p.edit(d, fields, c.user.id, oldInvalid); refused != nil {
		return nil, refused
	}
	return true, nil
}

func dealDelete(c *call) (any, *restError) {
	d, refused := c.deal()
	if refused != nil {
		return nil, refused
	}
	c.p.remove(d, c.user.id)
	return true, nil
}

func oldInvalid(field string) *restError {
	return bad("", "Invalid value for the \""+field+"\" field")
}

// sorted returns the deals by id.
func (p *Portal) sorted() []*deal {
	all := slices.Collect(maps.Values(p.deals))
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	return all
}

// create makes a deal and reports it. Callers hold the lock.
func (p *Portal) create(in params, by int, invalid func(string) *restError) (*deal, *restError) {
	now := p.Control.Clock.Now()
	d := &deal{id: p.lastDeal + 1, stage: "NEW", currency: "AMD", amount: "0.00", owner: by, author: by, mover: by,
		created: now, moved: now, uf: map[string]any{}}
	if refused := p.apply(d, in, invalid); refused != nil {
		return nil, refused
	}
	d.updated, d.editor = now, by
	p.lastDeal = d.id
	p.deals[d.id] = d
	p.fire("ONCRMDEALADD", params{"FIELDS": params{"ID": d.id}}, by)
	return d, nil
}

// edit changes a deal by upper-case names and reports it. Unknown names are ignored; when
// nothing changes, nothing is saved and no event is sent. A change of pipeline sends
// ONCRMDEALMOVETOCATEGORY in place of ONCRMDEALUPDATE. Callers hold the lock.
func (p *Portal) edit(d *deal, in params, by int, invalid func(string) *restError) *restError {
	next := *d
	next.uf = maps.Clone(d.uf)
	if refused := p.apply(&next, in, invalid); refused != nil {
		return refused
	}
	if reflect.DeepEqual(next, *d) {
		return nil
	}
	next.updated, next.editor = p.Control.Clock.Now(), by
	if next.stage != d.stage {
		next.moved, next.mover = next.updated, by
	}
	moved := next.category != d.category
	*d = next
	if moved {
		p.fire("ONCRMDEALMOVETOCATEGORY", params{"FIELDS": params{"ID": d.id, "CATEGORY_ID": d.category, "STAGE_ID": d.stage}}, by)
		return nil
	}
	p.fire("ONCRMDEALUPDATE", params{"FIELDS": params{"ID": d.id}}, by)
	return nil
}

// remove deletes a deal with its timeline and reports it. Callers hold the lock.
func (p *Portal) remove(d *deal, by int) {
	delete(p.deals, d.id)
	p.fire("ONCRMDEALDELETE", params{"FIELDS": params{"ID": d.id}}, by)
}

// apply writes columns and custom fields into d, the pipeline before the stage.
func (p *Portal) apply(d *deal, in params, invalid func(string) *restError) *restError {
	for _, name := range []string{"CATEGORY_ID", "STAGE_ID", "TITLE", "OPPORTUNITY", "CURRENCY_ID", "ASSIGNED_BY_ID", "CONTACT_ID"} {
		if v, ok := in[name]; ok && !p.set(d, name, text(v)) {
			return invalid(name)
		}
	}
	for _, f := range p.fields {
		v, ok := in[f.name]
		if !ok {
			continue
		}
		stored, ok := f.check(v)
		if !ok {
			return invalid(f.name)
		}
		d.uf[f.name] = stored
		if stored == nil {
			delete(d.uf, f.name)
		}
	}
	return nil
}

func (p *Portal) set(d *deal, name, value string) bool {
	n, _ := strconv.Atoi(value)
	switch name {
	case "CATEGORY_ID":
		i := slices.IndexFunc(categories, func(c category) bool { return c.id == n })
		if i < 0 {
			return false
		}
		if d.category != n {
			at := slices.IndexFunc(stages, func(s stage) bool { return s.category == n })
			d.category, d.stage = n, stages[at].code
		}
	case "STAGE_ID":
		s, ok := stageByID(value)
		if !ok || s.category != d.category {
			return false
		}
		d.stage = value
	case "TITLE":
		d.title = value
	case "OPPORTUNITY":
		amount, ok := new(big.Rat).SetString(value)
		if !ok || amount.Sign() < 0 {
			return false
		}
		d.amount = amount.FloatString(2)
	case "CURRENCY_ID":
		if !slices.ContainsFunc(currencies, func(c [3]string) bool { return c[0] == value }) {
			return false
		}
		d.currency = value
	case "ASSIGNED_BY_ID":
		if userByID(value) == nil {
			return false
		}
		d.owner = n
	case "CONTACT_ID":
		if n != 0 && p.contacts[n] == nil {
			return false
		}
		d.contact = n
	}
	return true
}

// semantics of a stage: P in progress, S success, F failure.
func semantics(code string) string {
	if s, _ := stageByID(code); s.semantics != "" {
		return s.semantics
	}
	return "P"
}

func yn(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

// dealRow is a deal as crm.deal.* answers it.
func (p *Portal) dealRow(d *deal) params {
	row := params{"ID": strconv.Itoa(d.id), "TITLE": d.title, "TYPE_ID": "SALE", "STAGE_ID": d.stage, "PROBABILITY": nil,
		"CURRENCY_ID": d.currency, "OPPORTUNITY": d.amount, "IS_MANUAL_OPPORTUNITY": "Y", "TAX_VALUE": "0.00", "LEAD_ID": nil,
		"COMPANY_ID": "0", "CONTACT_ID": nil, "QUOTE_ID": nil, "BEGINDATE": stamp(d.created), "CLOSEDATE": stamp(d.created.AddDate(0, 0, 7)),
		"ASSIGNED_BY_ID": strconv.Itoa(d.owner), "CREATED_BY_ID": strconv.Itoa(d.author), "MODIFY_BY_ID": strconv.Itoa(d.editor),
		"DATE_CREATE": stamp(d.created), "DATE_MODIFY": stamp(d.updated), "OPENED": "Y", "CLOSED": yn(semantics(d.stage) != "P"),
		"COMMENTS": nil, "CATEGORY_ID": strconv.Itoa(d.category), "STAGE_SEMANTIC_ID": semantics(d.stage), "IS_NEW": yn(strings.HasSuffix(d.stage, "NEW")),
		"ORIGINATOR_ID": nil, "ORIGIN_ID": nil, "MOVED_BY_ID": strconv.Itoa(d.mover), "MOVED_TIME": stamp(d.moved),
		"LAST_ACTIVITY_TIME": stamp(d.updated), "LAST_ACTIVITY_BY": strconv.Itoa(d.editor)}
	if d.contact != 0 {
		row["CONTACT_ID"] = strconv.Itoa(d.contact)
	}
	for _, f := range p.fields {
		row[f.name] = f.row(d.uf[f.name])
	}
	return row
}

func dealFields(c *call) (any, *restError) {
	out := params{}
	for name, kind := range map[string]string{"ID": "integer", "TITLE": "string", "STAGE_ID": "crm_status", "CATEGORY_ID": "crm_category",
		"OPPORTUNITY": "double", "CURRENCY_ID": "crm_currency", "CONTACT_ID": "crm_contact", "ASSIGNED_BY_ID": "user",
		"CLOSED": "char", "STAGE_SEMANTIC_ID": "string", "DATE_CREATE": "datetime", "DATE_MODIFY": "datetime"} {
		out[name] = params{"type": kind, "isRequired": false, "isReadOnly": name == "ID", "isImmutable": false,
			"isMultiple": false, "isDynamic": false, "title": name}
	}
	for _, f := range c.p.fields {
		out[f.name] = f.describe()
	}
	return out, nil
}
