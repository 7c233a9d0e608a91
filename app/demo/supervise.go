package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is one part of the demo that runs as a process of its own.
type Process struct {
	Name string   `json:"name"`
	PID  int      `json:"pid"`
	args []string // of this very program
}

// Supervisor keeps processes running: one that dies is started again within a second.
type Supervisor struct {
	Program string   // path of this program
	Env     []string // what it starts them with, beside the parent's environment
	Changed func()   // called after a process got another pid

	mu        sync.Mutex
	processes []*Process
	wait      sync.WaitGroup
}

// Start starts a process and keeps it running until ctx ends.
func (s *Supervisor) Start(ctx context.Context, name string, args ...string) {
	p := &Process{Name: name, args: args}
	s.mu.Lock()
	s.processes = append(s.processes, p)
	s.mu.Unlock()
	started := make(chan struct{})
	s.wait.Add(1)
	go s.keep(ctx, p, started)
	<-started
}

// Wait returns when all processes have ended, after ctx did.
func (s *Supervisor) Wait() { s.wait.Wait() }

// Processes returns the processes with their present pids.
func (s *Supervisor) Processes() []Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Process, len(s.processes))
	for i, p := range s.processes {
		list[i] = Process{Name: p.Name, PID: p.PID}
	}
	return list
}

func (s *Supervisor) keep(ctx context.Context, p *Process, started chan struct{}) {
	defer s.wait.Done()
	for first := true; ctx.Err() == nil; first = false {
		cmd := s.command(ctx, p)
		err := cmd.Start()
		if err == nil {
			s.mu.Lock()
			p.PID = cmd.Process.Pid
			s.mu.Unlock()
		}
		if first {
			close(started)
		} else if s.Changed != nil {
			s.Changed()
		}
		if err == nil {
			err = cmd.Wait()
		}
		if ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "demo: %s ended (%v), starting it again\n", p.Name, err)
			time.Sleep(200 * time.Millisecond)
		}
	}
}

func (s *Supervisor) command(ctx context.Context, p *Process) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Program, p.args...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 12 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches the parent, which stops them in order
	return cmd
}
