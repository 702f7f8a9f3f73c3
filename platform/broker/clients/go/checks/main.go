package checks

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

func (run runner) check(name string) error {
	words := strings.Fields(name)
	switch {
	case words[0] == "produce":
		return run.sends(200, words[1], false)
	case name == "idempotent producer":
		return run.sends(1000, "none", true)
	case name == "transactions":
		return run.transactions()
	case name == "offsets in a transaction":
		return run.offsets()
	case words[0] == "consume":
		return run.consume(strings.Join(words[2:], " "))
	case name == "group protocol consumer":
		return run.group("", "consumer")
	case words[0] == "group":
		return run.group(words[1], "classic")
	case name == "commit and go on":
		return run.goOn()
	case name == "static member":
		return run.static()
	case words[0] == "admin":
		return run.Admin(words[1])
	}
	return fmt.Errorf("there is no check %q", name)
}

// Main is `PROGRAM BOOTSTRAP CHECKS.TXT [PART OF A NAME]`.
func Main(client func(bootstrap string) (Client, error)) {
	made, err := client(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	name, version := made.Name()
	fmt.Printf("client\t%s\t%s\n", name, version)
	list, err := os.Open(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var names []string
	for lines := bufio.NewScanner(list); lines.Scan(); {
		check, _, _ := strings.Cut(lines.Text(), "\t")
		names = append(names, check)
	}
	further := map[string]func() error{}
	if more, ok := made.(interface {
		Further() map[string]func() error
	}); ok {
		further = more.Further()
		names = append(names, slices.Sorted(maps.Keys(further))...)
	}
	status := 0
	for _, check := range names {
		if len(os.Args) > 3 && !strings.Contains(check, os.Args[3]) {
			continue
		}
		started := time.Now()
		run := func() error { return runner{made}.check(check) }
		if own, ok := further[check]; ok {
			run = own
		}
		failure := run()
		if lacking, ok := made.(interface{ Lacks(error) string }); ok && failure != nil {
			if what := lacking.Lacks(failure); what != "" {
				failure = Absent(what)
			}
		}
		var absent Absent
		switch {
		case failure == nil:
			fmt.Printf("%s\tok\t%.1f s\n", check, time.Since(started).Seconds())
		case errors.As(failure, &absent):
			fmt.Printf("%s\tabsent\t%s\n", check, absent)
		default:
			status = 1
			fmt.Printf("%s\tfailed\t%.300s\n", check, strings.ReplaceAll(failure.Error(), "\n", " "))
		}
	}
	os.Exit(status)
}
