package amotest

import "net/http"

func (c *call) getAccount() *answer {
	sub := c.sub
	out := map[string]any{"id": c.ID, "name": sub, "subdomain": sub, "created_at": 1585840134, "created_by": 0,
		"updated_at": 1589472711, "updated_by": 0, "current_user_id": c.user.id, "country": c.server.config.Variant.country,
		"currency": Currency, "currency_symbol": "֏", "customers_mode": "disabled", "is_unsorted_on": true,
		"mobile_feature_version": 0, "is_loss_reason_enabled": true, "is_helpbot_enabled": false,
		"is_technical_account": true, "contact_name_display_order": 1, "_links": c.self("account")}
	embedded := map[string]any{}
	for key, v := range map[string]any{"amojo_id": "f3c6340d-410e-4ad1-9f7e-c5e663599909", "version": 11,
		"uuid": "824f3a59-6154-4edf-ba90-0b5593715d07", "is_api_filter_enabled": true,
		"drive_url":         "https://drive-b." + c.server.config.Variant.Zone,
		"invoices_settings": map[string]any{"lang": "en", "invoices_catalog_id": nil}} {
		if c.with(key) {
			out[key] = v
		}
	}
	for key, v := range map[string]any{"amojo_rights": map[string]any{"can_direct": true, "can_create_groups": true},
		"users_groups": []any{map[string]any{"id": 0, "name": "Sales", "uuid": nil}},
		"task_types":   taskTypes,
		"datetime_settings": map[string]any{"date_pattern": "d.m.Y H:i", "short_date_pattern": "d.m.Y",
			"short_time_pattern": "H:i", "date_format": "d.m.Y", "time_format": "H:i:s", "timezone": "Asia/Yerevan",
			"timezone_offset": "+04:00"}} {
		if c.with(key) {
			embedded[key] = v
		}
	}
	if len(embedded) > 0 {
		out["_embedded"] = embedded
	}
	return &answer{http.StatusOK, out}
}

// Currency is the accounts' currency.
const Currency = "AMD"

var taskTypes = []map[string]any{
	{"id": 1, "name": "Follow-up", "color": nil, "icon_id": nil, "code": "FOLLOW_UP"},
	{"id": 2, "name": "Meeting", "color": nil, "icon_id": nil, "code": "MEETING"},
}

func (c *call) showUser(u *user) map[string]any {
	out := map[string]any{"id": u.id, "name": u.name, "email": u.email, "lang": u.locale, "_links": c.self("users/%d", u.id),
		"rights": map[string]any{"leads": u.leads, "contacts": u.leads, "companies": u.leads,
			"tasks": map[string]any{"edit": u.tasks, "delete": u.tasks}, "mail_access": false, "catalog_access": false,
			"status_rights": nil, "is_admin": u.admin, "is_free": u.free, "is_active": true, "group_id": orNull(u.group), "role_id": nil}}
	embedded := map[string]any{}
	if c.with("role") {
		embedded["roles"] = []any{}
	}
	if c.with("group") {
		embedded["groups"] = []any{}
	}
	if len(embedded) > 0 {
		out["_embedded"] = embedded
	}
	return out
}

func (c *call) listUsers() *answer {
	if !c.user.admin {
		return forbidden()
	}
	var all []map[string]any
	for _, u := range c.users {
		all = append(all, c.showUser(u))
	}
	out := c.page("users", all)
	if body, ok := out.body.(map[string]any); ok && out.status == http.StatusOK {
		body["_total_items"], body["_page_count"] = len(all), 1
	}
	return out
}

func (c *call) getUser() *answer {
	u := c.Account.user(c.ids[0])
	switch {
	case !c.user.admin:
		return forbidden()
	case u == nil:
		return refuse(http.StatusNotFound, "Entity not found")
	}
	return &answer{http.StatusOK, c.showUser(u)}
}

func (c *call) showContact(k *contact) map[string]any {
	work := "WORK"
	field := func(id int64, name, code, text string) map[string]any {
		return map[string]any{"field_id": id, "field_name": name, "field_code": code, "field_type": "multitext",
			"values": []value{{Value: text, EnumID: id * 100, EnumCode: &work}}}
	}
	embedded := map[string]any{"tags": []any{}, "companies": []any{}}
	if c.with("leads") {
		leads := []map[string]any{}
		for _, l := range c.leads {
			for _, ln := range l.links {
				if ln.toType == "contacts" && ln.toID == k.id && !l.deleted {
					leads = append(leads, map[string]any{"id": l.id, "_links": c.self("leads/%d", l.id)})
				}
			}
		}
		embedded["leads"] = leads
	}
	return map[string]any{"id": k.id, "name": k.name, "first_name": k.first, "last_name": k.last,
		"responsible_user_id": k.responsible, "group_id": 0, "created_by": AdminID, "updated_by": AdminID,
		"created_at": k.createdAt, "updated_at": k.createdAt, "closest_task_at": nil, "is_deleted": false,
		"custom_fields_values": []any{field(3, "Phone", "PHONE", k.phone), field(5, "Email", "EMAIL", k.email)},
		"account_id":           c.ID, "_links": c.self("contacts/%d", k.id), "_embedded": embedded}
}

func (c *call) listContacts() *answer {
	var found []map[string]any
	for _, k := range c.contacts {
		if c.may(c.user.leads.View, k.responsible, 0) && c.passes("id", k.id) {
			found = append(found, c.showContact(k))
		}
	}
	return c.page("contacts", found)
}

func (c *call) getContact() *answer {
	k := c.contact(c.ids[0])
	switch {
	case k == nil:
		return empty
	case !c.may(c.user.leads.View, k.responsible, 0):
		return forbidden()
	}
	return &answer{http.StatusOK, c.showContact(k)}
}
