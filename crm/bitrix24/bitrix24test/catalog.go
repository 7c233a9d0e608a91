package bitrix24test

import "strconv"

// Pipelines, stages, contacts and currencies.
var catalogMethods = map[string]method{
	"crm.category.list":           {scope: "crm", run: categoryList},
	"crm.status.list":             {scope: "crm", run: statusList},
	"crm.dealcategory.list":       {scope: "crm", run: oldCategoryList},
	"crm.dealcategory.stage.list": {scope: "crm", run: oldStageList},
	"crm.contact.get":             {scope: "crm", run: contactGet},
	"crm.currency.list":           {scope: "crm", run: currencyList},
	"crm.enum.ownertype":          {scope: "crm", run: ownerTypes},
}

func categoryList(c *call) (any, *restError) {
	kind, refused := c.kind()
	if refused != nil {
		return nil, refused
	}
	if kind == typeContact {
		return nil, bad("ENTITY_TYPE_NOT_SUPPORTED", "Entity type `CONTACT` is not supported")
	}
	rows := []params{}
	if kind == typeDeal && c.user.deals {
		for _, cat := range categories {
			rows = append(rows, params{"id": cat.id, "name": cat.name, "sort": cat.sort, "entityTypeId": kind, "isDefault": yn(cat.id == 0)})
		}
	}
	c.total = len(rows)
	return params{"categories": rows}, nil
}

func statusList(c *call) (any, *restError) {
	if !c.user.deals {
		return nil, bad("", "Access denied.")
	}
	rows := []params{}
	for _, s := range stages {
		entity, cat := "DEAL_STAGE", any(nil)
		if s.category > 0 {
			entity, cat = "DEAL_STAGE_"+strconv.Itoa(s.category), strconv.Itoa(s.category)
		}
		rows = append(rows, params{"ID": strconv.Itoa(s.id), "ENTITY_ID": entity, "STATUS_ID": s.code, "NAME": s.name, "NAME_INIT": "",
			"SORT": strconv.Itoa(s.order), "SYSTEM": yn(s.system), "CATEGORY_ID": cat, "COLOR": s.color,
			"SEMANTICS": nullable(s.semantics), "EXTRA": params{"SEMANTICS": s.extra, "COLOR": s.color}})
	}
	rows, refused := c.find(rows, false)
	c.total = len(rows)
	return append([]params{}, rows...), refused
}

func oldCategoryList(c *call) (any, *restError) {
	rows := []params{}
	for _, cat := range categories[1:] { // the default pipeline is not listed
		rows = append(rows, params{"ID": strconv.Itoa(cat.id), "NAME": cat.name, "SORT": strconv.Itoa(cat.sort), "IS_LOCKED": "N"})
	}
	c.total = len(rows)
	return rows, nil
}

func oldStageList(c *call) (any, *restError) {
	rows := []params{}
	for _, s := range stages {
		if s.category == number(c.params["id"]) {
			rows = append(rows, params{"NAME": s.name, "SORT": s.order, "STATUS_ID": s.code})
		}
	}
	return rows, nil
}

func contactGet(c *call) (any, *restError) {
	id := max(number(c.params["id"]), number(c.params["ID"]))
	who := c.p.contacts[id]
	switch {
	case id == 0:
		return nil, errOldID
	case who == nil:
		return nil, errOldNotFound
	case !c.user.deals:
		return nil, errOldDenied
	}
	return who.row(), nil
}

func currencyList(c *call) (any, *restError) {
	rows := []params{}
	for i, cur := range currencies {
		rows = append(rows, params{"CURRENCY": cur[0], "AMOUNT_CNT": "1", "AMOUNT": "1.0000", "SORT": strconv.Itoa(100 * (i + 1)), "BASE": yn(i == 0),
			"FULL_NAME": cur[1], "LID": "en", "FORMAT_STRING": cur[2], "DEC_POINT": ".", "THOUSANDS_SEP": "&nbsp;", "DECIMALS": "2"})
	}
	c.total = 0 // as documented
	return rows, nil
}

func ownerTypes(*call) (any, *restError) {
	return []params{
		{"ID": 1, "NAME": "Lead", "SYMBOL_CODE": "LEAD", "SYMBOL_CODE_SHORT": "L"},
		{"ID": typeDeal, "NAME": "Deal", "SYMBOL_CODE": "DEAL", "SYMBOL_CODE_SHORT": "D"},
		{"ID": typeContact, "NAME": "Contact", "SYMBOL_CODE": "CONTACT", "SYMBOL_CODE_SHORT": "C"},
		{"ID": typeInvoice, "NAME": "Invoice", "SYMBOL_CODE": "SMART_INVOICE", "SYMBOL_CODE_SHORT": "SI"},
	}, nil
}
