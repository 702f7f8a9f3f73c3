// confluent-kafka-go, which is librdkafka.
//
// Long because it is all that the checks ask of one client, laid out as the other clients' programs are.
package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	"osqdemo/clients/checks"
)

const deadlineMs = int(checks.Deadline / time.Millisecond)

type client struct {
	bootstrap string
	admin     *kafka.AdminClient
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), checks.Deadline)
}

func (client) Name() (string, string) {
	_, library := kafka.LibraryVersion()
	version := checks.Version("github.com/confluentinc/confluent-kafka-go/v2")
	return "confluent-kafka-go", version + " (librdkafka " + library + ")"
}

func (its client) settings(more kafka.ConfigMap) *kafka.ConfigMap {
	settings := kafka.ConfigMap{"bootstrap.servers": its.bootstrap}
	for name, value := range more {
		settings[name] = value
	}
	return &settings
}

// Errors of single results, of which each has one.
func failed(code kafka.Error) error {
	if code.Code() == kafka.ErrNoError {
		return nil
	}
	return code
}

func (its client) Create(topic string, partitions int) error {
	ctx, done := within()
	defer done()
	made, err := its.admin.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}})
	if err != nil {
		return err
	}
	return failed(made[0].Error)
}

func send(producer *kafka.Producer, topic string, values []string, partition int) error {
	answers := make(chan kafka.Event, len(values))
	for _, value := range values {
		place := kafka.TopicPartition{Topic: &topic, Partition: int32(partition)}
		if err := producer.Produce(&kafka.Message{TopicPartition: place, Value: []byte(value)}, answers); err != nil {
			return err
		}
	}
	for range values {
		if err := (<-answers).(*kafka.Message).TopicPartition.Error; err != nil {
			return err
		}
	}
	return nil
}

func (its client) Send(topic string, values []string, partition int, codec string, idempotent bool) error {
	producer, err := kafka.NewProducer(its.settings(kafka.ConfigMap{"compression.type": codec, "enable.idempotence": idempotent,
		"acks": "all", "message.timeout.ms": deadlineMs}))
	if err != nil {
		return err
	}
	defer producer.Close()
	return send(producer, topic, values, partition)
}

func (its client) Read(topic string, partition int, start checks.Start, count int, committed bool, meanwhile func() error) ([]string, error) {
	level := "read_uncommitted"
	if committed {
		level = "read_committed"
	}
	consumer, err := kafka.NewConsumer(its.settings(kafka.ConfigMap{"group.id": checks.Unique("reader"), "isolation.level": level,
		"enable.auto.commit": false}))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	place := kafka.TopicPartition{Topic: &topic, Partition: int32(partition), Offset: kafka.Offset(start.Offset)}
	switch {
	case start.End:
		_, end, err := consumer.QueryWatermarkOffsets(topic, int32(partition), deadlineMs)
		if err != nil {
			return nil, err
		}
		place.Offset = kafka.Offset(end)
	case start.Time > 0:
		place.Offset = kafka.Offset(start.Time)
		found, err := consumer.OffsetsForTimes([]kafka.TopicPartition{place}, deadlineMs)
		if err != nil {
			return nil, err
		}
		place = found[0]
	case start.Offset == 0:
		place.Offset = kafka.OffsetBeginning
	}
	if err := consumer.Assign([]kafka.TopicPartition{place}); err != nil {
		return nil, err
	}
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return nil, err
		}
	}
	var found []string
	for end := time.Now().Add(checks.Deadline); len(found) < count; {
		switch event := consumer.Poll(100).(type) {
		case *kafka.Message:
			found = append(found, string(event.Value))
		case kafka.Error:
			if event.IsFatal() {
				return nil, event
			}
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%d of %d values", len(found), count)
		}
	}
	return found, nil
}

func (its client) Committed(group, topic string, partition int) (int64, error) {
	ctx, done := within()
	defer done()
	places := []kafka.TopicPartition{{Topic: &topic, Partition: int32(partition)}}
	listed, err := its.admin.ListConsumerGroupOffsets(ctx, []kafka.ConsumerGroupTopicPartitions{{Group: group, Partitions: places}})
	if err != nil {
		return 0, err
	}
	return int64(listed.ConsumerGroupsTopicPartitions[0].Partitions[0].Offset), nil
}

type transaction struct {
	client
	producer *kafka.Producer
	open     bool
}

func (its client) Transaction(id string) (checks.Transaction, error) {
	ctx, done := within()
	defer done()
	producer, err := kafka.NewProducer(its.settings(kafka.ConfigMap{"transactional.id": id}))
	if err != nil {
		return nil, err
	}
	return &transaction{client: its, producer: producer}, producer.InitTransactions(ctx)
}

func (its *transaction) Send(topic string, values []string) error {
	if !its.open {
		if err := its.producer.BeginTransaction(); err != nil {
			return err
		}
		its.open = true
	}
	return send(its.producer, topic, values, 0)
}

func (its *transaction) Offsets(group, topic string, partition int, offset int64) error {
	ctx, done := within()
	defer done()
	// Who is in no group has nothing to show of itself but its name.
	consumer, err := kafka.NewConsumer(its.settings(kafka.ConfigMap{"group.id": group}))
	if err != nil {
		return err
	}
	defer consumer.Close()
	metadata, err := consumer.GetConsumerGroupMetadata()
	if err != nil {
		return err
	}
	place := kafka.TopicPartition{Topic: &topic, Partition: int32(partition), Offset: kafka.Offset(offset)}
	return its.producer.SendOffsetsToTransaction(ctx, []kafka.TopicPartition{place}, metadata)
}

func (its *transaction) End(commit bool) error {
	ctx, done := within()
	defer done()
	its.open = false
	if commit {
		return its.producer.CommitTransaction(ctx)
	}
	return its.producer.AbortTransaction(ctx)
}

type member struct {
	checks.Journal
	consumer *kafka.Consumer
	stop     chan struct{}
	ended    chan struct{}
	once     sync.Once
}

func (its client) Member(group, topic, assignor, instance, protocol string) (checks.Member, error) {
	settings := kafka.ConfigMap{"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": false,
		"group.protocol": protocol}
	if protocol == "classic" {
		if assignor == "sticky" {
			return nil, checks.Absent("librdkafka has no eager sticky assignor")
		}
		settings["session.timeout.ms"], settings["heartbeat.interval.ms"] = 10_000, 500
		if assignor != "" {
			settings["partition.assignment.strategy"] = assignor
		}
	}
	if instance != "" {
		settings["group.instance.id"] = instance
	}
	consumer, err := kafka.NewConsumer(its.settings(settings))
	if err != nil {
		return nil, err
	}
	joined := &member{consumer: consumer, stop: make(chan struct{}), ended: make(chan struct{})}
	if err := consumer.Subscribe(topic, nil); err != nil {
		return nil, err
	}
	go func() {
		defer close(joined.ended)
		for {
			select {
			case <-joined.stop:
				return
			default:
			}
			if message, ok := consumer.Poll(50).(*kafka.Message); ok {
				joined.Add(string(message.Value))
			}
			assigned, err := consumer.Assignment()
			if err == nil {
				var partitions []int
				for _, place := range assigned {
					partitions = append(partitions, int(place.Partition))
				}
				joined.Assign(partitions)
			}
		}
	}()
	return joined, nil
}

func (its *member) Commit() error {
	_, err := its.consumer.Commit()
	var told kafka.Error
	if errors.As(err, &told) && told.Code() == kafka.ErrNoOffset {
		return nil
	}
	return err
}

func (its *member) Close() error {
	its.once.Do(func() { close(its.stop) })
	<-its.ended
	return its.consumer.Close()
}

func (its client) partitions(topic string) (int, error) {
	metadata, err := its.admin.GetMetadata(&topic, false, deadlineMs)
	if err != nil {
		return 0, err
	}
	return len(metadata.Topics[topic].Partitions), nil
}

func (its client) Admin(what string) error {
	ctx, done := within()
	defer done()
	topic := checks.Unique("topic")
	switch what {
	case "topics":
		if err := its.Create(topic, 2); err != nil {
			return err
		}
		before, err := its.partitions(topic)
		if err := checks.First(err, checks.Expect(before, 2, "partitions")); err != nil {
			return err
		}
		grown, err := its.admin.CreatePartitions(ctx, []kafka.PartitionsSpecification{{Topic: topic, IncreaseTo: 5}})
		if err := checks.First(err, failed(grown[0].Error)); err != nil {
			return err
		}
		after, err := its.partitions(topic)
		if err := checks.First(err, checks.Expect(after, 5, "partitions")); err != nil {
			return err
		}
		deleted, err := its.admin.DeleteTopics(ctx, []string{topic})
		return checks.First(err, failed(deleted[0].Error))
	case "settings":
		if err := its.Create(topic, 1); err != nil {
			return err
		}
		resource := kafka.ConfigResource{Type: kafka.ResourceTopic, Name: topic}
		changed := resource
		changed.Config = []kafka.ConfigEntry{{Name: "retention.ms", Value: "1234567", IncrementalOperation: kafka.AlterConfigOpTypeSet}}
		altered, err := its.admin.IncrementalAlterConfigs(ctx, []kafka.ConfigResource{changed})
		if err := checks.First(err, failed(altered[0].Error)); err != nil {
			return err
		}
		described, err := its.admin.DescribeConfigs(ctx, []kafka.ConfigResource{resource})
		if err != nil {
			return err
		}
		return checks.Expect(described[0].Config["retention.ms"].Value, "1234567", "retention.ms")
	case "records":
		if err := checks.First(its.Create(topic, 1), its.Send(topic, []string{"1", "2", "3"}, 0, "none", false)); err != nil {
			return err
		}
		place := kafka.TopicPartition{Topic: &topic, Offset: 2}
		deleted, err := its.admin.DeleteRecords(ctx, []kafka.TopicPartition{place})
		if err := checks.First(err, deleted.DeleteRecordsResults[0].TopicPartition.Error); err != nil {
			return err
		}
		found, err := its.Read(topic, 0, checks.Start{}, 1, false, nil)
		return checks.First(err, checks.Expect(found, []string{"3"}, "values"))
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
		listed, err := its.admin.ListConsumerGroups(ctx)
		found := false
		for _, listing := range listed.Valid {
			found = found || listing.GroupID == group
		}
		if err := checks.First(err, checks.Expect(found, true, "listed")); err != nil {
			return err
		}
		described, err := its.admin.DescribeConsumerGroups(ctx, []string{group})
		if err != nil {
			return err
		}
		members := len(described.ConsumerGroupDescriptions[0].Members)
		if err := checks.First(checks.Expect(members, 1, "members"), joined.Close()); err != nil {
			return err
		}
		offset, err := its.Committed(group, topic, 0)
		if err := checks.First(err, checks.Expect(offset, 1, "offset")); err != nil {
			return err
		}
		deleted, err := its.admin.DeleteConsumerGroups(ctx, []string{group})
		return checks.First(err, failed(deleted.ConsumerGroupResults[0].Error))
	case "cluster":
		cluster, err := its.admin.DescribeCluster(ctx)
		return checks.First(err, checks.Expect(len(cluster.Nodes), 1, "brokers"))
	case "ACLs":
		rule := kafka.ACLBinding{Type: kafka.ResourceTopic, Name: topic, ResourcePatternType: kafka.ResourcePatternTypeLiteral,
			Principal: "User:alice", Host: "*", Operation: kafka.ACLOperationRead, PermissionType: kafka.ACLPermissionTypeAllow}
		made, err := its.admin.CreateACLs(ctx, kafka.ACLBindings{rule})
		if err := checks.First(err, failed(made[0].Error)); err != nil {
			return err
		}
		described, err := its.admin.DescribeACLs(ctx, rule)
		if err := checks.First(err, checks.Expect(len(described.ACLBindings), 1, "rules")); err != nil {
			return err
		}
		deleted, err := its.admin.DeleteACLs(ctx, kafka.ACLBindingFilters{rule})
		return checks.First(err, checks.Expect(len(deleted[0].ACLBindings), 1, "rules deleted"))
	case "users":
		user := checks.Unique("user")
		credential := kafka.ScramCredentialInfo{Mechanism: kafka.ScramMechanismSHA512, Iterations: 8192}
		made := kafka.UserScramCredentialUpsertion{User: user, ScramCredentialInfo: credential, Password: []byte("secret")}
		altered, err := its.admin.AlterUserScramCredentials(ctx, []kafka.UserScramCredentialUpsertion{made}, nil)
		if err := checks.First(err, failed(altered.Errors[user])); err != nil {
			return err
		}
		described, err := its.admin.DescribeUserScramCredentials(ctx, []string{user})
		if err := checks.First(err, checks.Expect(len(described.Descriptions[user].ScramCredentialInfos), 1, "credentials")); err != nil {
			return err
		}
		gone := kafka.UserScramCredentialDeletion{User: user, Mechanism: kafka.ScramMechanismSHA512}
		altered, err = its.admin.AlterUserScramCredentials(ctx, nil, []kafka.UserScramCredentialDeletion{gone})
		return checks.First(err, failed(altered.Errors[user]))
	}
	return errors.New("there is no check of " + strconv.Quote(what))
}

func main() {
	checks.Main(func(bootstrap string) (checks.Client, error) {
		admin, err := kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": bootstrap})
		return client{bootstrap, admin}, err
	})
}
