package bitrix24test

import (
	"maps"
	"strconv"
	"strings"
)

// Application, user and portal (section "Common Methods").
var systemMethods = map[string]method{
	"profile":        {run: profile},
	"user.admin":     {run: func(c *call) (any, *restError) { return c.user.admin, nil }},
	"user.current":   {scope: "user|user_brief|user_basic", run: func(c *call) (any, *restError) { return c.card(c.user), nil }},
	"user.get":       {scope: "user|user_brief|user_basic", run: userGet},
	"app.info":       {run: appInfo},
	"app.option.get": {run: optionGet},
	"app.option.set": {write: true, run: optionSet},
	"scope":          {run: func(c *call) (any, *restError) { return strings.Split(c.p.srv.cfg.Scope, ","), nil }},
	"method.get":     {run: methodGet},
	"feature.get":    {run: featureGet},
	"server.time":    {run: func(c *call) (any, *restError) { return stamp(c.now), nil }},
}

func profile(c *call) (any, *restError) {
	return params{"ID": strconv.Itoa(c.user.id), "ADMIN": c.user.admin, "NAME": c.user.name, "LAST_NAME": "", "PERSONAL_GENDER": "", "TIME_ZONE": ""}, nil
}

// card is a user as user.get answers it; the e-mail needs more than user_brief.
func (c *call) card(u *user) params {
	out := params{"ID": strconv.Itoa(u.id), "ACTIVE": true, "NAME": u.name, "LAST_NAME": "", "IS_ONLINE": "Y", "WORK_POSITION": "", "UF_DEPARTMENT": []int{1}}
	if c.p.granted("user|user_basic") {
		out["EMAIL"] = u.login
	}
	return out
}

func userGet(c *call) (any, *restError) {
	filter, ok := object(c.params["FILTER"])
	if !ok {
		filter, _ = object(c.params["filter"])
	}
	filter = maps.Clone(filter)
	for _, key := range []string{"ID", "id"} {
		if v := c.params[key]; v != nil {
			filter = params{"ID": v}
		}
	}
	rows := []params{}
	for _, u := range users {
		row := c.card(u)
		if hit, _ := matches(row, filter, false); hit {
			rows = append(rows, row)
		}
	}
	return page(c, rows, 50), nil
}

func appInfo(c *call) (any, *restError) {
	license, family := "std", "std"
	if c.p.plan == Enterprise {
		license, family = "ent250", "ent"
	}
	return params{"ID": 1, "CODE": c.p.srv.cfg.AppCode, "VERSION": c.p.install.version, "STATUS": appStatus, "INSTALLED": c.p.install.finished,
		"PAYMENT_EXPIRED": "N", "DAYS": nil, "LANGUAGE_ID": "en", "LICENSE": "en_" + license, "LICENSE_TYPE": license, "LICENSE_FAMILY": family}, nil
}

func optionGet(c *call) (any, *restError) {
	if name := text(c.params["option"]); name != "" {
		return c.p.install.options[name], nil
	}
	return phpMap(c.p.install.options), nil
}

func optionSet(c *call) (any, *restError) {
	if !c.user.admin {
		return nil, bad("AccessException", "Administrator authorization required")
	}
	in, _ := object(c.params["options"])
	if len(in) == 0 {
		return nil, bad("ArgumentNullException", "options is empty")
	}
	maps.Copy(c.p.install.options, in)
	return true, nil
}

func methodGet(c *call) (any, *restError) {
	m, ok := c.p.srv.methods[strings.ToLower(text(c.params["name"]))]
	return params{"isExisting": ok, "isAvailable": ok && c.p.granted(m.scope)}, nil
}

func featureGet(c *call) (any, *restError) {
	code := text(c.params["CODE"])
	if code == "" {
		return nil, missing("CODE")
	}
	return params{"value": yn(c.p.plan == Enterprise && strings.HasPrefix(code, "rest_"))}, nil
}
