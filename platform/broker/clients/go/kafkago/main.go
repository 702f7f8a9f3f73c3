// kafka-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"osqdemo/clients/checks"
)

type client struct {
	bootstrap string
	admin     *kafka.Client
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), checks.Deadline)
}

func (client) Name() (string, string) {
	return "kafka-go", checks.Version("github.com/segmentio/kafka-go")
}

// What it answers for each topic, partition or user.
func any(failures map[string]error, err error) error {
	for _, failure := range failures {
		err = errors.Join(err, failure)
	}
	return err
}

func (its client) Create(topic string, partitions int) error {
	ctx, done := within()
	defer done()
	made, err := its.admin.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic,
		NumPartitions: partitions, ReplicationFactor: 1}}})
	if err != nil {
		return err
	}
	return any(made.Errors, nil)
}

type to int

func (partition to) Balance(kafka.Message, ...int) int { return int(partition) }

func (its client) Send(topic string, values []string, partition int, codec string, idempotent bool) error {
	if idempotent {
		return checks.Absent("kafka-go has no idempotent producer")
	}
	ctx, done := within()
	defer done()
	var compression kafka.Compression
	if codec != "none" {
		if err := compression.UnmarshalText([]byte(codec)); err != nil {
			return err
		}
	}
	writer := &kafka.Writer{Addr: kafka.TCP(its.bootstrap), Topic: topic, Balancer: to(partition),
		Compression: compression, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond}
	var messages []kafka.Message
	for _, value := range values {
		messages = append(messages, kafka.Message{Value: []byte(value)})
	}
	return errors.Join(writer.WriteMessages(ctx, messages...), writer.Close())
}

func (its client) Read(topic string, partition int, start checks.Start, count int, committed bool, meanwhile func() error) ([]string, error) {
	ctx, done := within()
	defer done()
	level := kafka.ReadUncommitted
	if committed {
		level = kafka.ReadCommitted
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{its.bootstrap}, Topic: topic, Partition: partition,
		IsolationLevel: level, MaxWait: 200 * time.Millisecond})
	defer reader.Close()
	from := start.Offset
	switch {
	case start.End:
		connection, err := kafka.DialLeader(ctx, "tcp", its.bootstrap, topic, partition)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		if from, err = connection.ReadLastOffset(); err != nil {
			return nil, err
		}
	case start.Offset == 0:
		from = kafka.FirstOffset
	}
	if start.Time > 0 {
		if err := reader.SetOffsetAt(ctx, time.UnixMilli(start.Time)); err != nil {
			return nil, err
		}
	} else if err := reader.SetOffset(from); err != nil {
		return nil, err
	}
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return nil, err
		}
	}
	var found []string
	for len(found) < count {
		message, err := reader.ReadMessage(ctx)
		if err != nil {
			return nil, fmt.Errorf("%d of %d values: %w", len(found), count, err)
		}
		found = append(found, string(message.Value))
	}
	return found, nil
}

func (its client) Committed(group, topic string, partition int) (int64, error) {
	ctx, done := within()
	defer done()
	found, err := its.admin.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	if err != nil {
		return 0, err
	}
	return found.Topics[topic][0].CommittedOffset, nil
}

func (client) Transaction(string) (checks.Transaction, error) {
	return nil, checks.Absent("kafka-go has no transactional producer")
}

type member struct {
	checks.Journal
	group      *kafka.ConsumerGroup
	stop       context.CancelFunc
	ended      chan struct{}
	lock       sync.Mutex
	generation *kafka.Generation
	topic      string
	next       map[int]int64
}

func (its client) Member(group, topic, assignor, instance, protocol string) (checks.Member, error) {
	balancers := map[string]kafka.GroupBalancer{"range": kafka.RangeGroupBalancer{}, "roundrobin": kafka.RoundRobinGroupBalancer{}}
	balancer, found := balancers[assignor]
	switch {
	case protocol != "classic":
		return nil, checks.Absent("kafka-go does not have the newer group protocol")
	case instance != "":
		return nil, checks.Absent("kafka-go has no static members")
	case !found:
		return nil, checks.Absent("kafka-go has no assignor " + assignor)
	}
	joined, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{ID: group, Brokers: []string{its.bootstrap},
		Topics: []string{topic}, GroupBalancers: []kafka.GroupBalancer{balancer}, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	made := &member{group: joined, stop: stop, ended: make(chan struct{}), topic: topic}
	go func() {
		defer close(made.ended)
		for ctx.Err() == nil {
			if generation, err := joined.Next(ctx); err == nil {
				made.begin(its.bootstrap, generation)
			}
		}
	}()
	return made, nil
}

func (its *member) begin(bootstrap string, generation *kafka.Generation) {
	its.lock.Lock()
	defer its.lock.Unlock()
	its.generation, its.next = generation, map[int]int64{}
	var partitions []int
	for _, assigned := range generation.Assignments[its.topic] {
		partitions = append(partitions, assigned.ID)
		generation.Start(func(ctx context.Context) {
			reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, Topic: its.topic,
				Partition: assigned.ID, MaxWait: 200 * time.Millisecond})
			defer reader.Close()
			if err := reader.SetOffset(assigned.Offset); err != nil {
				return
			}
			for {
				message, err := reader.ReadMessage(ctx)
				if err != nil {
					return
				}
				its.lock.Lock()
				its.next[assigned.ID] = message.Offset + 1
				its.Add(string(message.Value))
				its.lock.Unlock()
			}
		})
	}
	generation.Start(func(ctx context.Context) {
		<-ctx.Done()
		its.Assign(nil)
	})
	its.Assign(partitions)
}

func (its *member) Commit() error {
	its.lock.Lock()
	defer its.lock.Unlock()
	return its.generation.CommitOffsets(map[string]map[int]int64{its.topic: its.next})
}

func (its *member) Close() error {
	its.stop()
	<-its.ended
	return its.group.Close()
}

func (its client) Admin(what string) error {
	ctx, done := within()
	defer done()
	topic := checks.Unique("topic")
	switch what {
	case "topics":
		partitions := func() (int, error) {
			found, err := its.admin.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
			if err != nil {
				return 0, err
			}
			return len(found.Topics[0].Partitions), nil
		}
		if err := its.Create(topic, 2); err != nil {
			return err
		}
		before, err := partitions()
		if err := checks.First(err, checks.Expect(before, 2, "partitions")); err != nil {
			return err
		}
		grown, err := its.admin.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{
			{Name: topic, Count: 5}}})
		if err != nil || any(grown.Errors, nil) != nil {
			return errors.Join(err, any(grown.Errors, nil))
		}
		// It remembers for seconds what it was told before.
		err = checks.Until(func() string { return "five partitions" }, func() (bool, error) {
			after, err := partitions()
			return after == 5, err
		})
		if err != nil {
			return err
		}
		deleted, err := its.admin.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
		if err != nil {
			return err
		}
		return any(deleted.Errors, nil)
	case "settings":
		value := "1234567"
		if err := its.Create(topic, 1); err != nil {
			return err
		}
		_, err := its.admin.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
			Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
				Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "retention.ms", Value: value,
					ConfigOperation: kafka.ConfigOperationSet}}}}})
		if err != nil {
			return err
		}
		found, err := its.admin.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
			Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}}})
		if err != nil {
			return err
		}
		for _, setting := range found.Resources[0].ConfigEntries {
			if setting.ConfigName == "retention.ms" {
				return checks.Expect(setting.ConfigValue, value, "retention.ms")
			}
		}
		return errors.New("retention.ms is not described")
	case "records":
		return checks.Absent("kafka-go cannot delete records")
	case "groups":
		group := checks.Unique("group")
		if err := checks.First(its.Create(topic, 1), its.Send(topic, []string{"1"}, 0, "none", false)); err != nil {
			return err
		}
		joined, err := its.Member(group, topic, "range", "", "classic")
		if err != nil {
			return err
		}
		err = checks.Until(func() string { return "a record" }, func() (bool, error) { return len(joined.Values()) > 0, nil })
		if err := checks.First(err, joined.Commit()); err != nil {
			return err
		}
		listed, err := its.admin.ListGroups(ctx, &kafka.ListGroupsRequest{})
		if err != nil {
			return err
		}
		found := false
		for _, other := range listed.Groups {
			found = found || other.GroupID == group
		}
		described, err := its.admin.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
		if err := checks.First(err, checks.Expect(found, true, "listed")); err != nil {
			return err
		}
		if err := checks.First(checks.Expect(len(described.Groups[0].Members), 1, "members"), joined.Close()); err != nil {
			return err
		}
		offset, err := its.Committed(group, topic, 0)
		if err := checks.First(err, checks.Expect(offset, 1, "offset")); err != nil {
			return err
		}
		deleted, err := its.admin.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
		if err != nil {
			return err
		}
		return any(deleted.Errors, nil)
	case "cluster":
		found, err := its.admin.Metadata(ctx, &kafka.MetadataRequest{})
		if err != nil {
			return err
		}
		return checks.Expect(len(found.Brokers), 1, "brokers")
	case "ACLs":
		made, err := its.admin.CreateACLs(ctx, &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafka.PatternTypeLiteral,
			Principal: "User:alice", Host: "*", Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow}}})
		if err != nil || errors.Join(made.Errors...) != nil {
			return errors.Join(err, errors.Join(made.Errors...))
		}
		found, err := its.admin.DescribeACLs(ctx, &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{
			ResourceTypeFilter: kafka.ResourceTypeTopic, ResourceNameFilter: topic, ResourcePatternTypeFilter: kafka.PatternTypeLiteral,
			Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow}})
		if err != nil {
			return err
		}
		if err := checks.Expect(len(found.Resources), 1, "rules"); err != nil {
			return err
		}
		deleted, err := its.admin.DeleteACLs(ctx, &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{{
			ResourceTypeFilter: kafka.ResourceTypeTopic, ResourceNameFilter: topic, ResourcePatternTypeFilter: kafka.PatternTypeLiteral,
			Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow}}})
		if err != nil {
			return err
		}
		return checks.Expect(len(deleted.Results[0].MatchingACLs), 1, "rules deleted")
	case "users":
		user := checks.Unique("user")
		made, err := its.admin.AlterUserScramCredentials(ctx, &kafka.AlterUserScramCredentialsRequest{
			Upsertions: []kafka.UserScramCredentialsUpsertion{{Name: user, Mechanism: kafka.ScramMechanismSha512,
				Iterations: 8192, Salt: []byte("salt"), SaltedPassword: make([]byte, 64)}}})
		if err != nil || made.Results[0].Error != nil {
			return errors.Join(err, made.Results[0].Error)
		}
		found, err := its.admin.DescribeUserScramCredentials(ctx, &kafka.DescribeUserScramCredentialsRequest{
			Users: []kafka.UserScramCredentialsUser{{Name: user}}})
		if err != nil {
			return err
		}
		return checks.Expect(len(found.Results[0].CredentialInfos), 1, "credentials")
	}
	return fmt.Errorf("there is no check of %s", what)
}

func main() {
	checks.Main(func(bootstrap string) (checks.Client, error) {
		address, err := net.ResolveTCPAddr("tcp", bootstrap)
		return client{bootstrap, &kafka.Client{Addr: address}}, err
	})
}
