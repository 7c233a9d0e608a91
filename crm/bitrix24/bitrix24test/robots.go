package bitrix24test

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Automation rules of the app, which people put into a pipeline (section "Automation rules").
var robotMethods = map[string]method{
	"bizproc.robot.list":   {scope: "bizproc", run: adminOnly(robotList)},
	"bizproc.robot.add":    {scope: "bizproc", write: true, run: adminOnly(robotAdd)},
	"bizproc.robot.update": {scope: "bizproc", write: true, run: adminOnly(robotUpdate)},
	"bizproc.robot.delete": {scope: "bizproc", write: true, run: adminOnly(robotDelete)},
	"bizproc.event.send":   {scope: "bizproc", write: true, run: eventSend},
	"bizproc.activity.log": {scope: "bizproc", write: true, run: activityLog},
}

// run is one rule that came to work on a deal.
type run struct {
	code, token string
	deal        int
	at          time.Time
	waits       bool
	log         []string
	values      params // what the app answered
}

// RobotRun is what became of a rule that ran.
type RobotRun struct {
	Code   string            `json:"code"`
	Deal   string            `json:"deal"`
	Done   bool              `json:"done"` // the scheme went on
	Values map[string]string `json:"values"`
	Log    []string          `json:"log"`
}

func (r *run) shown() RobotRun {
	out := RobotRun{Code: r.code, Deal: strconv.Itoa(r.deal), Done: !r.waits, Values: map[string]string{}, Log: append([]string{}, r.log...)}
	for name, v := range r.values {
		out.Values[name] = text(v)
	}
	return out
}

func (p *Portal) robot(code string) int {
	return slices.IndexFunc(p.install.robots, func(r params) bool { return text(r["CODE"]) == code })
}

func robotList(c *call) (any, *restError) {
	codes := []string{}
	for _, r := range c.p.install.robots {
		codes = append(codes, text(r["CODE"]))
	}
	return codes, nil
}

func robotDelete(c *call) (any, *restError) {
	i := c.p.robot(text(c.params["CODE"]))
	if i < 0 {
		return nil, errNoRobot
	}
	c.p.install.robots = slices.Delete(c.p.install.robots, i, i+1)
	return true, nil
}

var (
	errNoRobot = bad("ERROR_ACTIVITY_NOT_FOUND", "Activity or Robot not found!")
	robotCode  = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)
	robotTypes = []string{"bool", "date", "datetime", "double", "file", "int", "select", "string", "text", "user"}
)

// checkRobot refuses what page "Register New Automation Rule" refuses.
func (c *call) checkRobot(r params) *restError {
	invalid := func(what string) *restError { return bad("ERROR_ACTIVITY_VALIDATION_FAILURE", what) }
	handler := text(r["HANDLER"])
	if refused := checkHandler(handler); refused != nil {
		return refused
	}
	own, _ := url.Parse(c.p.srv.cfg.AppURL)
	if u, _ := url.Parse(handler); u.Hostname() != own.Hostname() {
		return bad("ERROR_WRONG_HANDLER_URL", "Handler URL host doesn't match application url")
	}
	if names, ok := object(r["NAME"]); text(r["NAME"]) == "" && (!ok || len(names) == 0) {
		return invalid("Empty activity NAME!")
	}
	for _, group := range []string{"PROPERTIES", "RETURN_PROPERTIES"} {
		properties, _ := object(r[group])
		for id, v := range properties {
			property, ok := object(v)
			if !ok || !robotCode.MatchString(id) || property["Name"] == nil {
				return invalid("Wrong property " + id + "!")
			}
			if !slices.Contains(robotTypes, text(property["Type"])) {
				return invalid("Wrong type of property " + id + "!")
			}
		}
	}
	if r["DOCUMENT_TYPE"] != nil {
		if tuple, _ := object(r["DOCUMENT_TYPE"]); len(tuple) != 3 {
			return invalid("Wrong DOCUMENT_TYPE!")
		}
	}
	return nil
}

// robotAdd registers a rule (page "Register New Automation Rule").
func robotAdd(c *call) (any, *restError) {
	code := text(c.params["CODE"])
	switch {
	case !robotCode.MatchString(code):
		return nil, bad("ERROR_ACTIVITY_VALIDATION_FAILURE", "Wrong activity code!")
	case c.p.robot(code) >= 0:
		return nil, bad("ERROR_ACTIVITY_ALREADY_INSTALLED", "Activity or Robot already installed!")
	}
	kept := maps.Clone(c.params)
	delete(kept, "auth")
	if refused := c.checkRobot(kept); refused != nil {
		return nil, refused
	}
	c.p.install.robots = append(c.p.install.robots, kept)
	return true, nil
}

// robotUpdate changes a rule; schemes that use it go on with the new one.
func robotUpdate(c *call) (any, *restError) {
	i := c.p.robot(text(c.params["CODE"]))
	if i < 0 {
		return nil, errNoRobot
	}
	fields, _ := object(c.params["FIELDS"])
	if len(fields) == 0 {
		return nil, bad("ERROR_ACTIVITY_VALIDATION_FAILURE", "No fields to update!")
	}
	next := maps.Clone(c.p.install.robots[i])
	maps.Copy(next, fields)
	if refused := c.checkRobot(next); refused != nil {
		return nil, refused
	}
	c.p.install.robots[i] = next
	return true, nil
}

// RunRobot lets a rule of the app come to work on a deal, as a scheme does, and returns its event_token. The portal
// posts to the rule's handler and, unless the rule does not wait, goes on only after bizproc.event.send.
func (p *Portal) RunRobot(code, dealID string, properties map[string]any) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.dealByID(dealID)
	if err != nil {
		return "", err
	}
	i := p.robot(code)
	if i < 0 || !p.install.finished {
		return "", fmt.Errorf("bitrix24test: no robot %q", code)
	}
	rule, now := p.install.robots[i], p.Control.Clock.Now()
	waits := text(rule["USE_SUBSCRIPTION"]) != "N"
	r := &run{code: code, deal: d.id, at: now, waits: waits, token: random() + "|A1_2_3_4|" + random()}
	p.install.runs = append(p.install.runs, r)
	form := p.eventBody("", 0, params{}, 1, true)
	form.Del("event")
	for key, v := range map[string]string{"workflow_id": random(), "code": code, "event_token": r.token, "timeout_duration": "0",
		"use_subscription": yn(waits), "document_id[0]": "crm", "document_id[1]": "CCrmDocumentDeal", "document_id[2]": "DEAL_" + strconv.Itoa(d.id),
		"document_type[0]": "crm", "document_type[1]": "CCrmDocumentDeal", "document_type[2]": "DEAL"} {
		form.Set(key, v)
	}
	asked, _ := object(rule["PROPERTIES"])
	for id := range asked { // a rule that was set up with nothing sends empty properties
		form.Set("properties["+id+"]", text(properties[id]))
	}
	p.send(text(rule["HANDLER"]), form, "robot "+code)
	return r.token, nil
}

// rules are the codes and names of the app's rules, for the portal's own pages. Callers hold the lock.
func (p *Portal) rules(lang string) (out [][2]string) {
	for _, r := range p.install.robots {
		name := text(r["NAME"])
		if names, ok := object(r["NAME"]); ok {
			name = cmp.Or(text(names[lang]), text(names["en"]), text(r["CODE"]))
		}
		out = append(out, [2]string{text(r["CODE"]), name})
	}
	return out
}

// running is the run of an event_token that a scheme waits for.
func (c *call) running() (*run, *restError) {
	token := text(c.params["EVENT_TOKEN"])
	for _, r := range c.p.install.runs {
		if r.waits && token != "" && r.token == token {
			return r, nil
		}
	}
	return nil, &restError{status: 403, code: "ACCESS_DENIED", text: "Access denied!"}
}

// eventSend answers a rule (page "bizproc.event.send"): its scheme goes on. What the rule did not declare is dropped.
func eventSend(c *call) (any, *restError) {
	r, refused := c.running()
	if refused != nil {
		return nil, refused
	}
	values, _ := object(c.params["RETURN_VALUES"])
	r.values, r.waits = params{}, false
	if i := c.p.robot(r.code); i >= 0 {
		declared, _ := object(c.p.install.robots[i]["RETURN_PROPERTIES"])
		for name, v := range values {
			if declared[name] != nil {
				r.values[name] = v
			}
		}
	}
	if line := strings.TrimSpace(text(c.params["LOG_MESSAGE"])); line != "" {
		r.log = append(r.log, line)
	}
	return true, nil
}

// activityLog writes a line into the log of the scheme.
func activityLog(c *call) (any, *restError) {
	r, refused := c.running()
	if refused != nil {
		return nil, refused
	}
	line := strings.TrimSpace(text(c.params["LOG_MESSAGE"]))
	if line == "" {
		return nil, bad("ERROR_ARGUMENT", "Argument 'LOG_MESSAGE' is null or empty")
	}
	r.log = append(r.log, line)
	return true, nil
}
